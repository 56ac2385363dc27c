"""Functions that take the parameters of a layer together: `forward(params, x)` with `W, b = params`."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from parity.cases.op import Array
from parity.subjects import backward as backwards
from parity.subjects import names
from parity.subjects.arguments import arguments_of
from parity.subjects.attribute_errors import place_of
from parity.subjects.implementation import Implementation
from parity.subjects.locate_gradients import returned_gradients
from parity.subjects.names import plain
from parity.subjects.pair import of_function
from parity.subjects.signatures import required

TOGETHER = "it takes its parameters together, as [W, b] or by name"
_TOGETHER = names.words("params parameters param theta")
_BACKWARDS = (("forward", "backward"), ("fwd", "bwd"), ("", "_backward"), ("", "_grad"), ("", "_vjp"))


class Parameters(list[Array]):
    """[weight, bias], also by the names W and b."""

    def __getitem__(self, key: Any) -> Any:
        if not isinstance(key, str):
            return super().__getitem__(key)
        for place, stems in enumerate((names.WEIGHT_ATTRIBUTES, names.BIAS_ATTRIBUTES)):
            if plain(key) in stems and place < len(self):
                return super().__getitem__(place)
        raise KeyError(key)


def takes_parameters(function: Any) -> bool:
    """Whether a function takes `params` and an input, in either order."""
    places = {plain(p.name) for p in required(function)}
    return len(places) == 2 and len(places & _TOGETHER) == 1 and len(places & names.INPUTS) == 1


def of_parameters(function: Callable[..., Any]) -> Implementation:
    """Adapt `y, cache = forward(params, x)` beside `backward(params, cache, dy)`, or `y, pullback = f(params, x)`.

    The gradients of the parameters are returned together as well, before or after that of the input.
    """
    backward = _beside(function)
    together = next(p.name for p in required(function) if plain(p.name) in _TOGETHER)
    own = next(p.name for p in required(function) if p.name != together)

    def op(x: Array, *arrays: Array | None, **options: Any) -> Any:
        arguments = arguments_of((x, *arrays), options)
        arguments.decline_unread()
        parameters = Parameters(np.array(a) for a in arrays if a is not None)
        returned = function(**{together: parameters, own: x})
        if backward is None:
            if not (isinstance(returned, tuple) and len(returned) == 2 and callable(returned[1])):
                return returned
            y, own_pullback = returned
            return y, lambda dy: _in_order(own_pullback(dy), 1 + len(arrays))
        y, cache = returned if isinstance(returned, tuple) else (returned, backwards.NO_CACHE)
        given = {plain(together): parameters, plain(own): x}

        def pullback(dy: Array) -> Any:
            gradients = backwards.call(backward, dy, cache, (x, *arrays), y, arguments, given)
            return _in_order(gradients, 1 + len(arrays))

        return y, pullback

    made = replace(of_function(op), written=function, forward_place=place_of(function), lenient=True)
    return replace(made, backward_place=None if backward is None else place_of(backward)).with_note(TOGETHER)


def _in_order(gradients: Any, count: int) -> list[Any]:
    """The gradient of the input, then those of the parameters, which are returned in a list, tuple or dict."""
    parts = [*gradients] if isinstance(gradients, (tuple, list)) else [gradients]
    if len(parts) == 2 and isinstance(parts[0], (tuple, list, dict)):
        parts = parts[::-1]
    return returned_gradients(tuple(parts), count)


def _beside(function: Callable[..., Any]) -> Callable[..., Any] | None:
    """The backward of the same module, by its name."""
    name, scope = getattr(function, "__name__", ""), getattr(function, "__globals__", {})
    for forward, backward in _BACKWARDS:
        other = name.replace(forward, backward) if forward else name + backward
        found = scope.get(other)
        if other != name and callable(found):
            return found  # type: ignore[no-any-return]  # a function of the user's module
    return None
