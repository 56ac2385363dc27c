"""The call that an edit receives, and edits of arrays that several mistakes share."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeAlias

import numpy as np

from numpy_cnn.arguments import Array, Pullback
from parity.cases.op import Op

Called: TypeAlias = tuple[Array, Pullback]
Places: TypeAlias = tuple[str, ...]
Change: TypeAlias = Callable[[Op, Places], Op]
EVERYWHERE: Places = ("y", "dx", "dw", "db")
WEIGHT_OF_FIVE = 3  # input, running mean, running variance, weight, bias


@dataclass(frozen=True)
class Call:
    """A call of the right op."""

    op: Op
    arrays: tuple[Any, ...]
    options: dict[str, Any]

    @property
    def x(self) -> Any:
        """The first array."""
        return self.arrays[0]

    @property
    def w(self) -> Any:
        """The weight, or a loss's target."""
        return self.arrays[place_of("dw", len(self.arrays))]

    @property
    def b(self) -> Any:
        """The bias, or None."""
        place = place_of("db", len(self.arrays))
        return self.arrays[place] if place < len(self.arrays) else None

    @cached_property
    def _made(self) -> Any:
        return self.op(*self.arrays, **self.options)

    @property
    def y(self) -> Any:
        """The right output."""
        return self._made[0]

    @property
    def pullback(self) -> Any:
        """The right pullback."""
        return self._made[1]


Edit: TypeAlias = Callable[[Any, Call], Any]


def place_of(result: str, count: int) -> int:
    """The index of a gradient, or of its array, among `count` arrays."""
    places = {"dx": 0, "dw": 1, "dt": 1, "db": 2}
    if count > WEIGHT_OF_FIVE:
        places |= {"dw": WEIGHT_OF_FIVE, "db": WEIGHT_OF_FIVE + 1}
    return places[result]


def zeroed(*index: Any) -> Edit:
    """An edit that sets the elements at an index to zero."""

    def edit(a: Array, _: Call) -> Array:
        a = a.copy()
        a[index] = 0
        return a

    return edit


def kept(a: Array, *index: Any) -> Array:
    """The elements at an index, and zeros elsewhere."""
    there = np.zeros_like(a)
    there[index] = a[index]
    return there


def leftover(a: Array, block: int = 8, axis: int | None = None) -> Array:
    """A mask of the elements that a loop over blocks of `block` leaves over, along one axis or overall."""
    sizes = a.shape if axis is None else a.shape[axis:][:1]
    count = int(np.prod(sizes))
    mask = np.arange(count) >= (count // block * block if count > block else count)
    return mask.reshape(sizes) if axis is None or axis == -1 else mask.reshape(-1, *[1] * (-1 - axis))
