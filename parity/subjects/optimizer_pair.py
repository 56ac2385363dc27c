"""Adapts an optimizer of two functions without a state of their own: `init, update = make(lr)`."""

import inspect
import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from parity.subjects.arguments import parameters_of
from parity.subjects.attribute_errors import place_of
from parity.subjects.implementation import Implementation
from parity.subjects.names import plain
from parity.subjects.optimizer import ALIASES, COUNTS, GRADIENTS, PARAMETERS, of_closure
from parity.subjects.signatures import inner_codes, required


def makes_init_and_update(function: Callable[..., Any]) -> bool:
    """Whether it takes a step size, and returns the functions that it defines: `init, update = make(lr)`."""
    places = [plain(p.name) for p in parameters_of(function) or ()]
    inner = {code.co_name for code in inner_codes(getattr(function, "__code__", None))}
    return {"init", "update"} <= inner and any(p in ALIASES["lr"] for p in places)


def of_init_and_update(make: Callable[..., Any]) -> Implementation:
    """Adapt `init, update = make(**settings)`: state = init(params), params, state = update(grads, state, params).

    The parameters of `update` are recognized by their names, and may be in any order.
    """

    def closure(params: Any, **settings: Any) -> Callable[..., Any]:
        init, update = make(**settings)[:2]
        state, own, count = init(params), params, itertools.count()

        def step(grads: Any) -> Any:
            nonlocal state, own
            counted = next(count)
            given = []
            for p in required(update):
                short = plain(p.name)
                value = grads if short in GRADIENTS else own if short in PARAMETERS else state
                given.append(counted if short in COUNTS or short == "i" else value)
            own, state = update(*given)
            return own

        return step

    first = inspect.Parameter("params", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    closure.__signature__ = inspect.Signature([first, *(parameters_of(make) or ())])  # type: ignore[attr-defined]  # read by inspect.signature
    return replace(of_closure(closure), written=make, forward_place=place_of(make))
