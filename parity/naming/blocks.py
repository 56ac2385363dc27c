"""Parts left out by a loop over blocks, by a narrow index or by a loop that ends too early.

They are inferred from the wrong entries of one case, and confirmed by others.
"""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from parity.cases.op import Array
from parity.naming.explanation import Explanation, mistake
from parity.naming.observation import Evidence, near
from parity.naming.probe import NotApplicable, Probe

BLOCKS = (4, 8, 16, 32, 64, 2)
LIMITS = {128: "a signed 8-bit", 256: "an 8-bit", 32768: "a signed 16-bit", 65536: "a 16-bit"}
PLANE = -2  # the last two axes, as one
AXES = {
    None: "of all elements",
    -1: "of the last axis",
    1: "of the second axis",
    0: "of the first axis",
    PLANE: "of each plane",
}
VALUES = {"zero": "is 0", "given": "equals the argument", "doubled": "is counted twice"}
WRAPPED = {"wrapped": "repeats the beginning"}  # of an index only


class _Part(NamedTuple):
    """The elements from the last multiple of `block` on, or from `limit` on, along one axis or over several."""

    axis: int | None
    block: int = 0
    limit: int = 0
    short: bool = False  # whether an axis shorter than a block counts as a remainder

    def view(self, shape: tuple[int, ...]) -> tuple[int, int, int]:
        """A shape of the same elements in which the middle axis is that of the part."""
        if self.axis is None:
            first, end = 0, len(shape)
        elif self.axis == PLANE:
            first, end = len(shape) - 2, len(shape)
        else:
            first = self.axis % len(shape)
            end = first + 1
        return math.prod(shape[:first]), math.prod(shape[first:end]), math.prod(shape[end:])

    def mask(self, shape: tuple[int, ...]) -> Array:
        """A mask that is True at the elements of the part; all False if there is no such axis."""
        if self.axis is not None and not -len(shape) <= self.axis < len(shape):
            return np.zeros(shape, bool)
        view = self.view(shape)
        count = view[1]
        start = self.limit or (
            count if count <= self.block and not self.short else count // self.block * self.block
        )
        return np.broadcast_to((np.arange(count) >= start)[:, None], view).reshape(shape)


def lost_parts(evidence: Evidence) -> Iterator[Explanation]:
    """Explanations by a remainder or a limit that contains every wrong entry of the first failing case."""
    first = evidence.failing[0]
    if first.ours.shape != first.theirs.shape:
        return
    wrong = ~near(first.ours, first.theirs, first.probe)
    for part in _parts():
        if not _mask(part, first.probe, wrong.shape)[wrong].all():
            continue
        for value, words in (VALUES if part.block else VALUES | WRAPPED).items():
            if part.block:
                yield _explanation("tail-lost", part, value, words, block=part.block)
            else:
                yield _explanation(
                    "index-overflows", part, value, words, first=part.limit, bits=LIMITS[part.limit]
                )
    for axis in AXES:
        start = _first_wrong(axis, wrong)
        if start:
            for value, words in VALUES.items():
                yield _explanation("rest-lost", _Part(axis, limit=start), value, words, first=start)


def _first_wrong(axis: int | None, wrong: Array) -> int:
    """The first index along an axis at which an entry is wrong; 0 if there is no such axis."""
    if axis is not None and not -wrong.ndim <= axis < wrong.ndim:
        return 0
    view = wrong.reshape(_Part(axis).view(wrong.shape))
    return int(view.any((0, 2)).argmax())


def _parts() -> Iterator[_Part]:
    for axis in AXES:
        for block in BLOCKS:
            yield from (_Part(axis, block), _Part(axis, block, short=True))
        yield from (_Part(axis, limit=limit) for limit in LIMITS)


def _explanation(name: str, part: _Part, value: str, words: str, **values: Any) -> Explanation:
    def edit(result: Array, probe: Probe) -> Array:
        mask = _mask(part, probe, result.shape)
        if value == "given":
            return np.where(mask, _given(result, probe), result)
        if value == "wrapped":
            if "parameter" in probe.arrays:
                raise NotApplicable("the first axis is that of an optimizer's steps")
            found = result.reshape(part.view(result.shape))
            return found[:, np.arange(found.shape[1]) % part.limit].reshape(result.shape)
        return np.where(mask, 2 * result if value == "doubled" else np.zeros_like(result), result)

    return mistake(name, result=edit, axis=AXES[part.axis], value=words, **values)


def _mask(part: _Part, probe: Probe, shape: tuple[int, ...]) -> Array:
    """The mask of the part; in an optimizer's trajectory, that of each step's parameter."""
    steps = "parameter" in probe.arrays
    return np.broadcast_to(part.mask(shape[1:]), shape) if steps else part.mask(shape)


def _given(result: Array, probe: Probe) -> Array:
    """The argument from which the result is computed elementwise."""
    given = probe.first if probe.is_output else probe.dy
    if given.shape != result.shape[-given.ndim :] or (
        given.shape != result.shape and "parameter" not in probe.arrays
    ):
        raise NotApplicable("the argument has another shape")
    return np.broadcast_to(given, result.shape).astype(result.dtype)
