"""Gradients that a layer does not keep: its backward updates the parameters itself.

With a huge step size η, the parameter after w ← w − η·g is −η·g to the last bit, so the change is the gradient.
η is a power of two: multiplying by it rounds nothing.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from parity.subjects import names
from parity.subjects.arguments import Arguments, parameters_of
from parity.subjects.errors import Unrecognised

# In the order in which they are called, for a layer that creates its parameters in none of the usual places.
SETUPS = ("set_input_shape", "build", "initialize", "init_params", "init_weights")


class Step:
    """An optimizer for layers that update themselves: w − η·g."""

    def __init__(self, rate: float) -> None:
        self.rate = rate

    def update(self, w: Any, gradient: Any, *_: Any) -> Any:
        """The parameter after a step."""
        return w - self.rate * gradient

    __call__ = update


def huge_rate(dtype: Any) -> float:
    """A step size beside which a parameter vanishes, far from overflow."""
    return 2.0**60 if dtype == np.float32 else 2.0**200


def updates(kind: Any, backward: str | None) -> bool:
    """Whether the backward of a class takes a step size, so that it updates the parameters itself."""
    method = getattr(kind, backward or "", None)
    parameters = parameters_of(method) if callable(method) else None
    return any(names.plain(p.name) in names.RATES for p in parameters or ())


def set_rate(layer: Any, rate: float) -> None:
    """Set the step size of a layer that keeps one."""
    for name in ("lr", "learning_rate"):
        if isinstance(getattr(layer, name, None), float):
            setattr(layer, name, rate)


def set_up(layer: Any, x: Any, arguments: Arguments) -> None:
    """Call the methods by which a framework prepares a layer: with the shape of the input, and an optimizer."""
    for name in SETUPS:
        method = getattr(layer, name, None)
        if not callable(method):
            continue
        shape = x.shape if name == "build" else x.shape[1:]
        step = Step(arguments.rate)
        given: Mapping[str, Any] = {
            "inputshape": shape, "shape": shape, "optimizer": step, "optim": step, "opt": step,
        }  # fmt: skip
        try:
            keywords = arguments.bind(method, 0, given)
        except Unrecognised:  # a method for something else
            continue
        method(**keywords)
