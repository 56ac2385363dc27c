"""Operations of small engines that do not differentiate them: the gradients are methods."""

import inspect
from dataclasses import replace
from typing import Any

import numpy as np

from parity.cases.op import Array
from parity.subjects.arguments import parameters_of
from parity.subjects.attribute_errors import place_of
from parity.subjects.implementation import Implementation
from parity.subjects.names import plain
from parity.subjects.pair import of_pair

NODES = "it takes tensors of its own class, and its gradient the node of its output"
INDEXED = "it takes variables with .data, and backward_var(grad, index) returns the gradient of one of them"


# ---- compute(arrays) and gradient(out_grad, node)


def computes(kind: type) -> bool:
    """Whether a class has `compute(arrays)` and `gradient(out_grad, node)`, and its file a class of tensors."""
    methods = [getattr(kind, name, None) for name in ("compute", "gradient")]
    if None in methods or [plain(p.name) for p in parameters_of(kind.gradient) or ()][1:] != ["outgrad", "node"]:  # type: ignore[attr-defined]  # found above
        return False
    return _tensor_class(kind) is not None


def of_computed(kind: Any) -> Implementation:
    """Adapt an op over tensors: `y = op.compute(*arrays)`, `op.gradient(out_grad, node)` with `node.inputs`."""
    tensor: Any = _tensor_class(kind)

    def forward(*arrays: Array | None, **options: Any) -> Any:
        op = kind(**options)
        node = op(*(tensor(np.array(a)) for a in arrays if a is not None))
        return op.compute(*(a for a in arrays if a is not None)), (op, node)

    def backward(dy: Array, cache: Any) -> Any:
        op, node = cache
        gradients = op.gradient(tensor(np.array(dy)), node)
        return tuple(g.numpy() for g in (gradients if isinstance(gradients, (tuple, list)) else (gradients,)))

    own = list(parameters_of(kind.compute) or ())[1:]
    options = [p.replace(kind=p.KEYWORD_ONLY) for p in parameters_of(kind) or () if p.kind is not p.VAR_POSITIONAL]
    forward.__signature__ = inspect.Signature([*own, *options])  # type: ignore[attr-defined]  # read by inspect.signature
    made = replace(of_pair(forward, backward), forward_place=place_of(kind.compute))
    return replace(made, backward_place=place_of(kind.gradient)).with_note(NODES)


def _tensor_class(kind: Any) -> type | None:
    found = getattr(kind.compute, "__globals__", {}).get("Tensor")
    return found if inspect.isclass(found) and hasattr(found, "numpy") else None


# ---- op(*variables) and backward_var(grad, index)


class ArrayVariable(np.ndarray):
    """An array whose attribute `data` is the array."""

    @property
    def data(self) -> Array:  # type: ignore[override]  # NumPy's is a buffer
        """The array."""
        return self.view(np.ndarray)


def indexes_gradients(kind: type) -> bool:
    """Whether a class has `backward_var(grad, index)`, which returns the gradient of one variable."""
    method = getattr(kind, "backward_var", None)
    return method is not None and [plain(p.name) for p in parameters_of(method) or ()][1:3] == ["grad", "index"]


def of_indexed_gradients(kind: Any) -> Implementation:
    """Adapt `y = op(*variables, **options)`, whose `backward_var(grad, i)` is the gradient of variable i."""

    def forward(*arrays: Array | None, **options: Any) -> Any:
        op, variables = kind(), [None if a is None else np.array(a).view(ArrayVariable) for a in arrays]
        return op(*variables, **options), (op, arrays)

    def backward(dy: Array, cache: Any) -> Any:
        op, arrays = cache
        return tuple(None if a is None else op.backward_var(dy, i) for i, a in enumerate(arrays))

    signature = inspect.signature(kind.__call__)
    forward.__signature__ = signature.replace(parameters=[*signature.parameters.values()][1:])  # type: ignore[attr-defined]  # read by inspect.signature
    made = replace(of_pair(forward, backward), forward_place=place_of(kind.__call__))
    return replace(made, backward_place=place_of(kind.backward_var)).with_note(INDEXED)
