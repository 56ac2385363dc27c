"""Simple properties of cases, which can distinguish failing cases from the others."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import numpy as np

from parity.cases.case import Case
from parity.cases.inputs import Inputs


class Kind(StrEnum):
    """The kind of property of a facet."""

    ABOVE = "above"  # a size or an option is larger than a value
    AXIS = "axis"  # the axis at a position of an array is longer than 1
    GIVEN = "given"  # an array is not None
    LEFT_OUT = "left out"  # an option is None
    EQUALS = "equals"  # an option has a value
    NOT_SQUARE = "not square"  # an image or a kernel
    DIFFERENT = "different"  # an option has two different numbers
    HAS = "has"  # the case has the subject
    CONTAINS = "contains"  # an array has a kind of number, the value, in it
    DOUBLE = "float64"


@dataclass(frozen=True)
class Facet:
    """One property; `minor` ones are reported only if the failure requires them."""

    kind: Kind
    subject: str = ""
    value: Any = None
    minor: bool = False


# Names of axes longer than 1.
_AXES: dict[tuple[str, int], tuple[Facet | None, ...]] = {
    ("input", 4): (Facet(Kind.ABOVE, "N", 1), Facet(Kind.HAS, "several input channels"), None, None),
    ("weight", 4): (
        Facet(Kind.HAS, "several kernels"),
        Facet(Kind.HAS, "several channels per group"),
        Facet(Kind.ABOVE, "kh", 1),
        Facet(Kind.ABOVE, "kw", 1),
    ),
    ("weight", 2): (Facet(Kind.HAS, "several outputs"), Facet(Kind.HAS, "several inputs")),
}
_SIMPLEST = {"padding": 0, "start_dim": 0, "dim": 0, "momentum": 0, "weight_decay": 0, "dampening": 0, "bias": 0}


def facets(case: Case, inputs: Inputs) -> dict[Facet, bool]:
    """Each property of the case, and whether it holds; missing ones do not."""
    found: dict[Facet, bool] = {}
    for spec in case.arrays:
        if spec.shape is None:
            found[Facet(Kind.GIVEN, spec.name)] = False
            continue
        if spec.name != "input":
            found[Facet(Kind.GIVEN, spec.name)] = True
        rank = len(spec.shape)
        named = spec.name != "input" or "stride" in case.options
        names = (_AXES.get((spec.name, rank)) if named else None) or tuple(
            Facet(Kind.AXIS, spec.name, place, minor=spec.name == "bias") for place in range(rank)
        )
        found |= {name: size > 1 for name, size in zip(names, spec.shape, strict=True) if name is not None}
        if rank == 4 and spec.name in ("input", "weight"):
            what = "image" if spec.name == "input" else "kernel"
            found[Facet(Kind.NOT_SQUARE, what, minor=True)] = spec.shape[2] != spec.shape[3]
            if spec.name == "weight":
                several = Facet(Kind.HAS, "several taps per kernel", minor=True)
                found[several] = spec.shape[2] * spec.shape[3] > 1
    shape = case.arrays[0].shape
    if shape and "stride" not in case.options:
        found[Facet(Kind.HAS, "several samples")] = math.prod(shape[:-1]) > 1
    found |= dict(_of_options(case.options))
    pair, empty = (
        Facet(Kind.HAS, "a pair among the options", minor=True),
        Facet(Kind.HAS, "an empty input", minor=True),
    )
    found[pair] = any(type(v) is tuple for v in case.options.values())
    found[empty] = any(spec.shape is not None and 0 in spec.shape for spec in case.arrays)
    found |= dict(_of_windows(case))
    found |= dict(_of_numbers(inputs))
    return found | {Facet(Kind.DOUBLE): case.dtype == "float64"}


def _of_options(options: dict[str, Any]) -> Iterator[tuple[Facet, bool]]:
    for name, value in options.items():
        if isinstance(value, dict):
            yield from _of_options(value)
        elif value is None:
            yield Facet(Kind.LEFT_OUT, name), True
        elif isinstance(value, (bool, str)):
            yield Facet(Kind.EQUALS, name, value), True
        elif isinstance(value, (int, float)) or (isinstance(value, tuple) and value):
            each = value if isinstance(value, tuple) else (value,)
            simplest = _SIMPLEST.get(name, 1)
            if all(isinstance(number, (int, float)) for number in each):
                yield Facet(Kind.ABOVE, name, simplest), max(each) > simplest
            if len(each) == 2:
                yield Facet(Kind.DIFFERENT, name, minor=True), each[0] != each[1]


def _of_windows(case: Case) -> Iterator[tuple[Facet, bool]]:
    """For convolution and pooling: the position of the windows on the image."""
    shapes = {spec.name: spec.shape for spec in case.arrays}
    x, w = shapes.get("input"), shapes.get("weight")
    kernel = _pair(case.options["kernel_size"]) if "kernel_size" in case.options else w[2:] if w else None
    if kernel is None or x is None or len(kernel) != 2 or len(x) != 4 or "stride" not in case.options:
        return
    stride = _pair(case.options["stride"] or kernel)
    padding, dilation = case.options.get("padding", 0), _pair(case.options.get("dilation", 1))
    spans = [dilation[i] * (kernel[i] - 1) + 1 for i in (0, 1)]
    yield Facet(Kind.HAS, "windows that overlap", minor=True), any(stride[i] < spans[i] for i in (0, 1))
    if not isinstance(padding, str):
        rests = [(x[2 + i] + 2 * _pair(padding)[i] - spans[i]) % stride[i] for i in (0, 1)]
        yield Facet(Kind.HAS, "pixels left over at the edge", minor=True), any(rests)


def _of_numbers(inputs: Inputs) -> Iterator[tuple[Facet, bool]]:
    array, name = inputs.arrays[0], inputs.names[0]
    if array is None or array.dtype.kind != "f":
        return
    yield Facet(Kind.CONTAINS, name, "a zero", minor=True), bool((array == 0).any())
    yield Facet(Kind.CONTAINS, name, "a negative number", minor=True), bool((array < 0).any())
    if not np.isfinite(array).all():
        yield Facet(Kind.CONTAINS, name, "NaN"), bool(np.isnan(array).any())
        yield Facet(Kind.CONTAINS, name, "infinity"), bool(np.isinf(array).any())


def _pair(value: Any) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value, value)
