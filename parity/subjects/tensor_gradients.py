"""Layers over tensors with a gradient in the attribute `g`."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from parity.cases.op import Array
from parity.subjects import backward as backwards
from parity.subjects.arguments import arguments_of, parameters_of
from parity.subjects.attribute_errors import place_of
from parity.subjects.implementation import Implementation
from parity.subjects.layer import constructor_arrays
from parity.subjects.pair import of_function
from parity.subjects.signatures import codes, with_places

TENSOR_GRADIENTS = "its gradients are in the attribute g of its tensors"


# ---- tensors with a gradient in .g


def keeps_gradients_in_tensors(kind: type) -> bool:
    """Whether the backward of a class takes no upstream gradient, and its methods read or write `.g`."""
    backward = getattr(kind, "backward", None)
    if backward is None or len(parameters_of(backward) or ()) != 1:
        return False
    return any("g" in code.co_names for code in codes(kind))


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

    return with_places(replace(of_function(op), op=op, lenient=True), kind, TENSOR_GRADIENTS)


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
