"""A forward and a backward function, in the style of university courses."""

from collections.abc import Callable
from typing import Any

import numpy as np

from parity.cases.torch_op import Array
from parity.subjects import backward as backwards
from parity.subjects import names
from parity.subjects.arguments import Arguments, parameters_of
from parity.subjects.attribute_errors import place_of
from parity.subjects.dense import orientation
from parity.subjects.errors import Declined
from parity.subjects.implementation import CANONICAL, Implementation
from parity.subjects.locate_gradients import returned_gradients
from parity.subjects.names import plain


def of_pair(forward: Callable[..., Any], backward: Callable[..., Any]) -> Implementation:
    """`out, cache = forward(x, w, b, …)` and `dx, dw, db = backward(dout, cache)`, or the other way round.

    Options are given by the names that the forward has for them, or in a dict where it takes one. Where it
    returns the output alone, the backward is given what it is named for: (dout, x, w, b, stride).
    """
    pair = _Pair(forward, backward)
    made = Implementation(pair, forward_place=place_of(forward), backward_place=place_of(backward))
    pair.implementation = made
    made.lenient = True
    made.takes_upstream = backwards.takes_upstream(backward)
    if not made.takes_upstream:
        made.note("its backward takes no upstream gradient: checked with an upstream of 1")
    return made


class _Pair:
    implementation: Implementation

    def __init__(self, forward: Callable[..., Any], backward: Callable[..., Any]) -> None:
        self.forward, self.backward = forward, backward
        self.transposed: bool | None = None

    def __call__(self, *arrays: Array | None, **options: Any) -> tuple[Any, Callable[[Array], Any]]:
        weight = arrays[1] if len(arrays) > 1 else None
        if weight is None or weight.ndim != 2 or options:
            transposed = False
        else:
            if self.transposed is None:
                self.transposed = orientation(self.implementation, lambda a, t: self._called(a, {}, t))
            transposed = self.transposed
        return self._called(arrays, options, transposed)

    def _called(
        self, arrays: tuple[Array | None, ...], options: dict[str, Any], transposed: bool
    ) -> tuple[Any, Callable[[Array], Any]]:
        y, cache, given, arguments = self._run(arrays, options, transposed)

        def pullback(dy: Array) -> Any:
            returned = backwards.call(self.backward, dy, cache, given, y, arguments)
            gradients = returned_gradients(returned, len(arrays))
            if transposed and gradients[1] is not None:
                gradients[1] = np.asarray(gradients[1]).T
            return gradients

        return y, pullback

    def _run(
        self, arrays: tuple[Array | None, ...], options: dict[str, Any], transposed: bool
    ) -> tuple[Any, Any, tuple[Array | None, ...], Arguments]:
        arguments = Arguments(options, names.sizes(CANONICAL.get() or arrays, options), self.implementation.fixed)
        given = _given(self.forward, arrays)
        if transposed:
            given = (given[0], np.asarray(given[1]).T.copy(), *given[2:])
        keywords = arguments.bind(self.forward, len(given))
        if not arguments.handed_a_dict:
            decline(self.implementation, arguments)
        try:
            returned = self.forward(*given, **keywords)
        except TypeError as error:
            decline_pairs(self.implementation, keywords, error)
            raise
        if arguments.handed_a_dict:
            decline(self.implementation, arguments)
        y, cache = (returned[0], returned[1:]) if isinstance(returned, tuple) else (returned, backwards.NO_CACHE)
        if isinstance(cache, tuple) and len(cache) == 1:
            (cache,) = cache
        return y, cache, given, arguments


def decline(implementation: Implementation, arguments: Arguments) -> None:
    """Note the options that it has no parameter for, and raise Declined where the case needs one of them."""
    for name, value in arguments.unread().items():
        implementation.narrows.setdefault(name, value)
    arguments.decline_unread()


def decline_pairs(implementation: Implementation, keywords: dict[str, Any], error: TypeError) -> None:
    """Raise Declined if the forward may have failed for a pair where it takes one number."""
    pairs = [
        name for name, value in keywords.items() if isinstance(value, tuple) and plain(name) not in names.SIZES
    ]
    if pairs and "pairs" not in implementation.narrows:
        implementation.narrows["pairs"] = False
        raise Declined(f"it takes one number for {', '.join(pairs)}, not two: {error}") from error


def _given(forward: Callable[..., Any], arrays: tuple[Array | None, ...]) -> tuple[Array | None, ...]:
    """The arrays that the forward has a place for; zeros for the bias that it insists upon."""
    parameters = parameters_of(forward)
    if parameters is None or any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return arrays
    places = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)][: len(arrays)]
    places = [p for i, p in enumerate(places) if i == 0 or not _takes_option(p.name, arrays)]
    lacking = arrays[len(places) :]
    if any(array is not None for array in lacking):
        raise Declined("it has no bias", {"bias": False})
    given = list(arrays[: len(places)])
    for i, (p, array) in enumerate(zip(places, given, strict=True)):
        weight = given[1] if i == 2 else None
        if weight is not None and array is None and p.default is p.empty:
            given[i] = np.zeros(len(weight), weight.dtype)
    return tuple(given)


def _takes_option(name: str, arrays: tuple[Array | None, ...]) -> bool:
    """Whether a parameter is for an option; running statistics are arrays if they come among five."""
    statistics = names.OPTIONS.get(plain(name)) in names.STATISTICS and len(arrays) == 5
    return names.is_option(name) and not statistics
