"""Changes to what an op has returned: most mistakes are one of these around the right op."""

from collections.abc import Callable
from typing import Any, TypeAlias

from numpy_cnn.arguments import Array, Pullback

Called: TypeAlias = tuple[Array, Pullback]
Edit: TypeAlias = Callable[[Any], Any]


def edited(
    called: Called,
    *,
    y: Edit | None = None,
    dy: Edit | None = None,
    dx: Edit | None = None,
    dw: Edit | None = None,
    db: Edit | None = None,
) -> Called:
    """The output, the upstream gradient on its way in, or the first, second or third gradient changed."""
    output, pullback = called

    def changed(upstream: Array) -> tuple[Any, ...]:
        gradients = [*pullback(upstream if dy is None else dy(upstream))]
        for place, edit in enumerate((dx, dw, db)):
            if edit is not None and gradients[place] is not None:
                gradients[place] = edit(gradients[place])
        return tuple(gradients)

    return (output if y is None else y(output)), changed


def mixed(right: Called, wrong: Called, *places: int) -> Called:
    """The right call, with the gradients in these places from a wrong one."""
    y, pullback = right

    def pulled(dy: Array) -> tuple[Any, ...]:
        good, bad = pullback(dy), wrong[1](dy)
        return tuple(bad[place] if place in places else g for place, g in enumerate(good))

    return y, pulled


def forward_of(wrong: Called, right: Called) -> Called:
    """The output of the wrong call, the gradients of the right one."""
    return wrong[0], right[1]
