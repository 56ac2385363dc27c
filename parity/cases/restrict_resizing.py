"""Adapts the options of padding and interpolation, which determine the rank of the input, to `supports`."""

from collections.abc import Mapping
from typing import Any

AXES = {"linear": 1, "bilinear": 2, "bicubic": 2, "trilinear": 3}  # the modes with align_corners
SIZES = ("size", "scale_factor")  # of which a case has one


def resizes(options: Mapping[str, Any]) -> bool:
    """Whether the options are those of an interpolation."""
    return "mode" in options and bool({*SIZES} & options.keys())


def fitted(
    shape: tuple[int, ...], options: dict[str, Any], wanted: Mapping[str, Any], rank: int
) -> tuple[int, ...]:
    """Adapt the options to each other, and return an input of the rank that they determine.

    Args:
        shape: of the input.
        options: changed in place.
        wanted: the restrictions.
        rank: the rank that is wanted if they determine none.
    """
    if "pad" in options:
        return _padded(shape, options, wanted, rank)
    return _resized(shape, options, wanted, rank) if resizes(options) else shape


def _padded(
    shape: tuple[int, ...], options: dict[str, Any], wanted: Mapping[str, Any], rank: int
) -> tuple[int, ...]:
    if options["mode"] != "constant":
        options.pop("value", None)
    elif "value" in wanted:
        options["value"] = wanted["value"]
    axes = (len(options["pad"]) // 2) if "pad" in wanted else max(1, rank - 2)
    widths = [*options["pad"], *(0,) * 6][: 2 * axes]
    if "pad" not in wanted:
        if wanted.get("negative") is False:
            widths = [max(width, 0) for width in widths]
        if wanted.get("pairs") is False:
            widths = [widths[0]] * len(widths)
    options["pad"] = tuple(widths)
    shape = _with_axes(shape, axes)
    # Widths of `pad` begin with the last axis.
    least = [
        max(1 - min(left, 0) - min(right, 0), left + 1, right + 1)
        for left, right in zip(widths[-2::-2], widths[::-2], strict=True)
    ]
    return (*shape[:2], *map(max, zip(shape[2:], least, strict=True)))


def _resized(
    shape: tuple[int, ...], options: dict[str, Any], wanted: Mapping[str, Any], rank: int
) -> tuple[int, ...]:
    for name, other in (SIZES, SIZES[::-1]):
        if name in options and wanted.get(name, name) is None:
            before = options.pop(name)
            value: Any = tuple(2 if other == "size" else 2.0 for _ in before)
            options[other] = wanted.get(other) or value
    (name,) = {*SIZES} & options.keys()
    value, given = options[name], wanted.get(name) is not None
    axes = len(value) if given and isinstance(value, tuple) else AXES.get(options["mode"], max(1, rank - 2))
    if not given and isinstance(value, tuple):
        value = (*value, *(value[-1:] * axes))[:axes]
        if wanted.get("whole") and name == "scale_factor":
            value = tuple(float(max(1, round(each))) for each in value)
        if wanted.get("pairs") is False:
            value = value[:1] * axes
        options[name] = value
    if options["mode"] not in AXES:
        options.pop("align_corners", None)
    elif "align_corners" in wanted:
        options["align_corners"] = wanted["align_corners"]
    return _with_axes(shape, axes)


def _with_axes(shape: tuple[int, ...], axes: int) -> tuple[int, ...]:
    """(N, C, …) with this number of further axes."""
    shape = (*(2,) * (2 - len(shape)), *shape)
    return (*shape[: 2 + axes], *(3,) * (2 + axes - len(shape)))


def has_different(options: Mapping[str, Any]) -> bool | None:
    """Whether the widths of a padding, or the sizes of an interpolation, differ; None for other ops."""
    if "pad" in options:
        return len({*options["pad"]}) > 1
    if resizes(options):
        value = next(options[name] for name in SIZES if name in options)
        return isinstance(value, tuple) and len({*value}) > 1
    return None


def is_whole(options: Mapping[str, Any]) -> bool:
    """Whether the factors of an interpolation are whole numbers."""
    value = options.get("scale_factor", 1)
    return all(each == round(each) for each in (value if isinstance(value, tuple) else (value,)))
