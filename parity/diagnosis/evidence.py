"""What is known of one failure besides that it is one: plain data, for whoever draws it."""

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

Array: TypeAlias = npt.NDArray[Any]


@dataclass(frozen=True)
class Comparison:
    """A wrong quantity entry by entry: arrays of one shape, and the entry that is farthest off."""

    yours: Array
    torchs: Array
    wrong: Array  # bool
    worst: tuple[int, ...]
    allowed: float  # error allowed at the worst entry; 0 where the result is exact
    referee: float  # the right value at the worst entry: computed in double precision

    @property
    def difference(self) -> Array:
        """yours − torch's, in double precision, 0 where both agree."""
        with np.errstate(invalid="ignore"):
            return np.where(self.wrong, self.yours.astype(np.float64) - self.torchs, 0.0)

    @property
    def errors(self) -> tuple[float, float]:
        """How far yours and torch's are from the right value at the worst entry."""
        with np.errstate(invalid="ignore"):
            yours, torchs = float(self.yours[self.worst]), float(self.torchs[self.worst])
            return abs(yours - self.referee), abs(torchs - self.referee)


@dataclass(frozen=True)
class Evidence:
    """The smallest case drawn out, and what the failure depends on."""

    differs: tuple[str, ...]  # quantities of this case
    agrees: tuple[str, ...]
    arrays: dict[str, Array]  # what the op was given, and dy
    comparison: Comparison | None  # None where there are no two arrays of one shape to compare
    needed: tuple[str, ...] = ()  # "only with groups > 1: in 31 of 31 such cases, in none of 69 others"
    varied: tuple[str, ...] = ()  # what becomes of the smallest case when one thing is changed
    alike: tuple[str, ...] = ()  # "stride > 1": fails with and without
    script: str | None = None  # stands alone, with NumPy and torch
    wider: Comparison | None = None  # the same quantity on a larger case, where a pattern shows
    wider_case: str = ""
