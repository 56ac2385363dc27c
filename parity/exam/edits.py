"""Edits of what an op takes and returns: most mistakes are one of these around the right op."""

from collections.abc import Callable
from typing import Any, TypeAlias

from numpy_cnn.arguments import Array, Pullback
from parity.cases.torch_op import Op

Called: TypeAlias = tuple[Array, Pullback]
Edit: TypeAlias = Callable[[Any], Any]
PLACES = ("dx", "dw", "db")  # of the gradients, in order


def edited(
    called: Called,
    *,
    y: Edit | None = None,
    dy: Edit | None = None,
    dx: Edit | None = None,
    dw: Edit | None = None,
    db: Edit | None = None,
) -> Called:
    """The output, the upstream gradient, or the first, second or third gradient changed."""
    output, pullback = called

    def changed(upstream: Array) -> tuple[Any, ...]:
        gradients = [*pullback(upstream if dy is None else dy(upstream))]
        for place, edit in enumerate((dx, dw, db)):
            if edit is not None and gradients[place] is not None:
                gradients[place] = edit(gradients[place])
        return tuple(gradients)

    return (output if y is None else y(output)), changed if callable(pullback) else pullback


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


def results(op: Op, **edits: Edit) -> Op:
    """An op whose results are edited: y, dy, dx, dw, db."""
    return lambda *arrays, **options: edited(op(*arrays, **options), **edits)


def option(op: Op, name: str, edit: Edit) -> Op:
    """An op that edits one of its options, if it is given."""

    def called(*arrays: Any, **options: Any) -> Any:
        return op(*arrays, **options | ({name: edit(options[name])} if name in options else {}))

    return called


def upstream(op: Op, edit: Edit, place: str = "") -> Op:
    """An op whose gradients, or one of them, are those of an edited upstream gradient."""

    def called(*arrays: Any, **options: Any) -> Any:
        wrong = edited(op(*arrays, **options), dy=edit)
        return mixed(op(*arrays, **options), wrong, PLACES.index(place)) if place else wrong

    return called


def reaching(op: Op, right: Op, *places: str) -> Op:
    """A wrong op whose results in these places only reach the outside: y, dx, dw, db."""

    def called(*arrays: Any, **options: Any) -> Any:
        bad, good = op(*arrays, **options), right(*arrays, **options)
        y, pullback = mixed(good, bad, *(PLACES.index(place) for place in places if place != "y"))
        return (bad[0] if "y" in places else y), pullback

    return called
