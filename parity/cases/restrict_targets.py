"""Adapts targets, statistics and masks, whose shape or kind depends on other arrays, to `supports`."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from parity.cases.case import ArraySpec


def targets(
    arrays: dict[str, ArraySpec], options: dict[str, Any], wanted: Mapping[str, Any]
) -> dict[str, ArraySpec]:
    """Mark targets as ignored according to the option, or mark none."""
    target = arrays.get("target")
    if target is None:
        return arrays
    if options.get("log_target") is False and target.kind == "real":  # drawn as logarithms
        return arrays | {"target": replace(target, kind="weights")}
    if wanted.get("probabilities") is False and is_probabilities(arrays):
        return arrays | {"target": as_classes(target)}
    if target.ignored is None:
        return arrays
    if wanted.get("ignored") is False:
        options.pop("ignore_index", None)
        return arrays | {"target": replace(target, ignored=None)}
    return arrays | {"target": replace(target, ignored=options.get("ignore_index", target.ignored))}


def is_probabilities(arrays: Mapping[str, ArraySpec]) -> bool:
    """Whether the targets are class probabilities that indices can replace."""
    return "weight" in arrays and "target" in arrays and arrays["target"].kind == "weights"


def as_classes(target: ArraySpec) -> ArraySpec:
    shape = target.shape or ()
    around = (*shape[:1], *shape[2:]) if len(shape) > 1 else ()
    return ArraySpec("target", around, "classes", shape[min(1, len(shape) - 1)] if shape else 1)


def dyadic_samples(arrays: dict[str, ArraySpec], first: str) -> dict[str, ArraySpec]:
    """Use a power of two as the number of samples, all with weight 1, so that an unintended mean is exact too."""
    target, x = arrays["target"], arrays[first]
    assert target.shape is not None
    assert x.shape is not None

    def least(size: int) -> int:
        return 1 << size.bit_length() - 1 if size else 0

    around = tuple(map(least, target.shape))
    if target.kind != "classes":
        around = tuple(max(size, 1) for size in around)  # the mean of no numbers has no bound
        return arrays | {first: replace(x, shape=around), "target": replace(target, shape=around)}
    shape = (*around[:1], target.classes, *around[1:])
    found = {first: replace(x, shape=shape), "target": replace(target, shape=around, ignored=None)}
    return arrays | found | ({"weight": replace(arrays["weight"], shape=None)} if "weight" in arrays else {})


def all_gradients(arrays: dict[str, ArraySpec]) -> dict[str, ArraySpec]:
    shape = next(iter(arrays.values())).shape
    return {name: replace(spec, shape=shape) for name, spec in arrays.items()}


def with_statistics(
    arrays: dict[str, ArraySpec], first: str, options: Mapping[str, Any], wanted: Mapping[str, Any]
) -> dict[str, ArraySpec]:
    """One number per channel; in training at least two values per channel; otherwise statistics always."""
    shape = arrays[first].shape
    assert shape is not None
    from_input = options.get("training", options.get("use_input_stats"))  # instance_norm's name for it
    if from_input and values_per_channel(shape) == 1 and "batch" not in wanted:
        shape = (2, *shape[1:])
    there = {name for name, spec in arrays.items() if spec.shape is not None}
    there |= set() if from_input else {"running_mean", "running_var"}
    there = (there | {"bias"} if wanted["bias"] else there - {"bias"}) if "bias" in wanted else there
    return {
        name: replace(spec, shape=shape if name == first else shape[1:2] if name in there else None)
        for name, spec in arrays.items()
    }


def values_per_channel(shape: tuple[int, ...]) -> int:
    """The number of values per channel."""
    return math.prod(shape) // shape[1] if shape[1] else 0


def by_own_statistics(options: Mapping[str, Any]) -> bool:
    """Whether a normalization computes its statistics from the input, by torch's option of either name."""
    return bool(options.get("training", options.get("use_input_stats", False)))


def drop_mask(mask: ArraySpec, shape: tuple[int, ...], row: str, training: bool) -> ArraySpec:
    """Keep a mask only in training: of the input's shape, or one number per channel."""
    return replace(mask, shape=(shape[:2] if row == "dropout2d" else shape) if training else None)
