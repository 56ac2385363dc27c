"""Forms of frameworks: a context, tuples of arrays, blobs, tensors with a gradient `g`, and makers of pairs."""

import inspect
from collections.abc import Callable, Iterator
from dataclasses import replace
from types import CodeType
from typing import Any

import numpy as np
import torch

from parity.cases.torch_op import Array
from parity.subjects import backward as backwards
from parity.subjects import names
from parity.subjects.arguments import arguments_of, parameters_of
from parity.subjects.attribute_errors import place_of
from parity.subjects.implementation import Implementation
from parity.subjects.layer import backward_name, constructor_arrays
from parity.subjects.names import plain
from parity.subjects.pair import of_function, of_pair

CONTEXTS = frozenset({"ctx", "context"})
TUPLES = "its arrays are in a tuple, and its results too"
BLOBS = "its arrays are blobs with .data and .diff"
INDEXED = "it takes variables with .data, and backward_var(grad, index) returns the gradient of one of them"
TENSOR_GRADIENTS = "its gradients are in the attribute g of its tensors"


# ---- static forward(ctx, x, …) and backward(ctx, dy)


class Context:
    """Stores the arrays and options of a forward for its backward."""

    def __init__(self) -> None:
        self.saved_tensors: tuple[Any, ...] = ()

    def save_for_backward(self, *arrays: Any) -> None:
        """Store arrays."""
        self.saved_tensors += arrays

    @property
    def saved_values(self) -> Any:
        """The stored arrays; one alone is not in a tuple."""
        return self.saved_tensors[0] if len(self.saved_tensors) == 1 else self.saved_tensors


def takes_context(kind: type) -> bool:
    """Whether the static methods forward and backward of a class take a context first."""
    for name in ("forward", "backward"):
        method = getattr(kind, name, None)
        places = [plain(p.name) for p in parameters_of(method) or ()] if callable(method) else []
        if not isinstance(inspect.getattr_static(kind, name, None), staticmethod) or not CONTEXTS & {*places[:1]}:
            return False
    return True


def of_context(kind: Any) -> Implementation:
    """Adapt `y = C.forward(ctx, x, …)` and `gradients = C.backward(ctx, dy)`."""
    signature = inspect.signature(kind.forward)

    def forward(*arrays: Any, **options: Any) -> Any:
        ctx = Context()
        return kind.forward(ctx, *arrays, **options), ctx

    def backward(dy: Array, ctx: Any) -> Any:
        return kind.backward(ctx, dy)

    forward.__signature__ = signature.replace(parameters=[*signature.parameters.values()][1:])  # type: ignore[attr-defined]  # read by inspect.signature
    made = of_pair(forward, backward)
    return replace(made, forward_place=place_of(kind.forward), backward_place=place_of(kind.backward))


# ---- forward(inputs) → (y,) and backward(inputs, grad_outputs)


def of_tuples(kind: Any) -> Implementation | None:
    """Adapt a class whose methods take and return tuples; None if they have other parameters."""
    if not inspect.isclass(kind) or backward_name(kind) != "backward" or not hasattr(kind, "forward"):
        return None
    layer_class: Any = kind
    counts = [len(_required(getattr(layer_class, name))) - 1 for name in ("forward", "backward")]
    if counts != [1, 2] or len(_required(kind)):
        return None

    def forward(*arrays: Array | None) -> Any:
        layer, given = layer_class(), tuple(a for a in arrays if a is not None)
        (y,) = layer.forward(given)
        return y, (layer, given)

    def backward(dy: Array, cache: Any) -> Any:
        layer, given = cache
        return layer.backward(given, (dy,))

    return _with_places(of_pair(forward, backward), layer_class, TUPLES)


# ---- forward(bottom, top), backward(top, propagate_down, bottom)


class Blob:
    """An array and its gradient."""

    def __init__(self, data: Array) -> None:
        self.data, self.diff = data, np.zeros_like(data)

    def reshape(self, *shape: int) -> None:
        """Make room for another shape."""
        self.data, self.diff = np.zeros(shape, self.data.dtype), np.zeros(shape, self.data.dtype)

    @property
    def shape(self) -> tuple[int, ...]:
        """The sizes of the axes."""
        return self.data.shape

    @property
    def num(self) -> int:
        """The size of the batch."""
        return len(self.data)

    @property
    def count(self) -> int:
        """The number of entries."""
        return self.data.size


def takes_blobs(kind: type) -> bool:
    """Whether a class has `forward(bottom, top)`."""
    forward = getattr(kind, "forward", None)
    return forward is not None and [p.name for p in parameters_of(forward) or ()][1:] == ["bottom", "top"]


def of_blobs(kind: Any) -> Implementation:
    """Adapt a class with setup, reshape, `forward(bottom, top)` and `backward(top, propagate_down, bottom)`."""

    def forward(*arrays: Array | None) -> Any:
        layer, bottom = kind(), [Blob(np.array(a)) for a in arrays if a is not None]
        top = [Blob(np.zeros((), bottom[0].data.dtype))]
        for name in ("setup", "reshape", "forward"):
            if hasattr(layer, name):
                getattr(layer, name)(bottom, top)
        y = top[0].data
        return (y.reshape(()) if y.shape == (1,) and len(bottom) == 2 else y), (layer, bottom, top)

    def backward(dy: Array, cache: Any) -> Any:
        layer, bottom, top = cache
        top[0].diff[...] = dy
        layer.backward(top, [True] * len(bottom), bottom)
        return tuple(blob.diff.copy() for blob in bottom)

    return _with_places(of_pair(forward, backward), kind, BLOBS)


# ---- op(*variables) and backward_var(grad, index)


class Variable(np.ndarray):
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
        op = kind()
        return op(*(None if a is None else np.array(a).view(Variable) for a in arrays), **options), (op, arrays)

    def backward(dy: Array, cache: Any) -> Any:
        op, arrays = cache
        return tuple(None if a is None else op.backward_var(dy, i) for i, a in enumerate(arrays))

    signature = inspect.signature(kind.__call__)
    forward.__signature__ = signature.replace(parameters=[*signature.parameters.values()][1:])  # type: ignore[attr-defined]  # read by inspect.signature
    made = replace(of_pair(forward, backward), forward_place=place_of(kind.__call__))
    return replace(made, backward_place=place_of(kind.backward_var)).with_note(INDEXED)


# ---- tensors with a gradient in .g


def keeps_gradients_in_tensors(kind: type) -> bool:
    """Whether the backward of a class takes no upstream gradient, and its methods read or write `.g`."""
    backward = getattr(kind, "backward", None)
    if backward is None or len(parameters_of(backward) or ()) != 1:
        return False
    return any("g" in code.co_names for code in _codes(kind))


def of_tensor_gradients(kind: Any) -> Implementation:
    """Adapt `out = layer(inp)` whose `backward()` reads out.g and writes inp.g, w.g and b.g."""

    def op(*arrays: Array | None, **options: Any) -> Any:
        count = max(1, len(parameters_of(kind.forward) or ()) - 1)
        arguments = arguments_of(arrays, options)
        tensors = [None if a is None else torch.from_numpy(np.array(a)) for a in arrays]

        def run() -> tuple[Any, Any]:
            # A constructor takes the tensors themselves, because their gradients are read afterwards.
            given = constructor_arrays(kind, list(arrays[count:]))
            given = {n: tensors[_place(arrays, v)] if isinstance(v, np.ndarray) else v for n, v in given.items()}
            layer = kind(**(arguments.bind(kind, 0, given) if parameters_of(kind) else {}))
            arguments.decline_unread()
            return layer, layer(*tensors[:count])

        def pullback(dy: Array) -> list[Array | None]:
            layer, out = run()
            out.g = torch.from_numpy(np.array(dy))
            layer.backward()
            return [None if t is None or not hasattr(t, "g") else t.g.numpy() for t in tensors]

        return run()[1].numpy(), pullback

    return _with_places(replace(of_function(op), op=op, lenient=True), kind, TENSOR_GRADIENTS)


def _place(arrays: tuple[Array | None, ...], value: Any) -> int:
    return next(i for i, array in enumerate(arrays) if array is value)


def of_tensor_functions(forward: Callable[..., Any], backward: Callable[..., Any]) -> Implementation | None:
    """Adapt `lin(x, w, b)` and `lin_grad(inp, out, w, b)`, which writes inp.g; None if it writes no `.g`."""
    code = getattr(backward, "__code__", None)
    if code is None or "g" not in code.co_names:
        return None

    def op(*arrays: Array | None, **options: Any) -> Any:
        arguments = arguments_of(arrays, options)
        arguments.decline_unread()
        tensors: Any = tuple(None if a is None else torch.from_numpy(np.array(a)) for a in arrays)
        y = forward(*tensors)

        def pullback(dy: Array) -> list[Array | None]:
            out = y.clone()
            out.g = torch.from_numpy(np.array(dy))
            backwards.call(backward, dy, backwards.NO_CACHE, tensors, out, arguments)
            return [None if t is None or not hasattr(t, "g") else t.g.numpy() for t in tensors]

        return y.numpy(), pullback

    made = replace(of_function(op), op=op, lenient=True, forward_place=place_of(forward))
    return replace(made, backward_place=place_of(backward)).with_note(TENSOR_GRADIENTS)


# ---- forward, backward = make(W, b)


def makes_a_pair(function: Any) -> bool:
    """Whether a function of weights defines a forward and a backward and returns them."""
    places = [plain(p.name) for p in _required(function)]
    inner = {code.co_name for code in _inner(getattr(function, "__code__", None))}
    return bool(places) and {*places} <= names.WEIGHTS | names.BIASES and {"forward", "backward"} <= inner


def of_maker(make: Callable[..., Any]) -> Implementation:
    """Adapt `forward, backward = make(W, b)`."""

    def op(x: Array, *parameters: Array | None) -> Any:
        forward, backward = make(*parameters)[:2]
        return forward(x), backward

    return replace(of_function(op), forward_place=place_of(make), lenient=True)


def _inner(code: CodeType | None) -> Iterator[CodeType]:
    yield from (const for const in getattr(code, "co_consts", ()) if isinstance(const, CodeType))


def _codes(kind: type) -> Iterator[CodeType]:
    for owner in kind.__mro__[:-1]:
        for method in vars(owner).values():
            code = getattr(method, "__code__", None)
            if isinstance(code, CodeType):
                yield code


def _required(function: Any) -> list[inspect.Parameter]:
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p for p in parameters_of(function) or () if p.default is p.empty and p.kind in kinds]


def _with_places(made: Implementation, kind: Any, note: str) -> Implementation:
    return replace(made, forward_place=place_of(kind.forward), backward_place=place_of(kind.backward)).with_note(
        note
    )
