"""Simple properties of a case, by which failing cases are told from the others."""

from typing import Any

import numpy as np

from parity.cases.case import Case
from parity.cases.inputs import Inputs

# What an axis longer than 1 is called.
_AXES = {
    ("input", 4): ("N > 1", "several input channels", "", ""),
    ("weight", 4): ("several kernels", "several channels a group", "kh > 1", "kw > 1"),
    ("weight", 2): ("several outputs", "several inputs"),
}
_SIMPLEST = {"padding": 0, "start_dim": 0, "dim": 0, "momentum": 0, "weight_decay": 0, "dampening": 0, "bias": 0}


def facets(case: Case, inputs: Inputs) -> dict[str, bool]:
    """{"groups > 1": True, "N > 1": False, "bias given": True, …}."""
    found: dict[str, bool] = {}
    for spec in case.arrays:
        if spec.shape is None:
            found[f"{spec.name} given"] = False
            continue
        if spec.name != "input":
            found[f"{spec.name} given"] = True
        rank = len(spec.shape)
        named = spec.name != "input" or "stride" in case.options
        names = (_AXES.get((spec.name, rank)) if named else None) or [
            f"{spec.name} axis {place} > 1" for place in range(rank)
        ]
        found |= {name: size > 1 for name, size in zip(names, spec.shape, strict=True) if name}
        if rank == 4 and spec.name in ("input", "weight"):
            what = "image" if spec.name == "input" else "kernel"
            found[f"{what} not square"] = spec.shape[2] != spec.shape[3]
            if spec.name == "weight":
                found["several taps a kernel"] = spec.shape[2] * spec.shape[3] > 1
    shape = case.arrays[0].shape
    if shape and "stride" not in case.options:
        found["several samples"] = int(np.prod(shape[:-1])) > 1
    _of_options(case.options, found)
    found["a pair among the options"] = any(type(v) is tuple for v in case.options.values())
    found["an empty input"] = any(spec.shape is not None and 0 in spec.shape for spec in case.arrays)
    _of_windows(case, found)
    _of_numbers(inputs, found)
    found["float64"] = case.dtype == "float64"
    return found


def _of_options(options: dict[str, Any], found: dict[str, bool]) -> None:
    for name, value in options.items():
        if isinstance(value, dict):
            _of_options(value, found)
        elif value is None:
            found[f"{name} left out"] = True
        elif isinstance(value, (bool, str)):
            found[f"{name}={value!r}"] = True
        elif isinstance(value, (int, float)) or (isinstance(value, tuple) and value):
            each = value if isinstance(value, tuple) else (value,)
            simplest = _SIMPLEST.get(name, 1)
            if all(isinstance(number, (int, float)) for number in each):
                found[f"{name} > {simplest}"] = max(each) > simplest
            if len(each) == 2:
                found[f"{name} of two different numbers"] = each[0] != each[1]


def _of_windows(case: Case, found: dict[str, bool]) -> None:
    """For convolution and pooling: how the windows lie on the image."""
    shapes = {spec.name: spec.shape for spec in case.arrays}
    x, w = shapes.get("input"), shapes.get("weight")
    kernel = _pair(case.options["kernel_size"]) if "kernel_size" in case.options else w[2:] if w else None
    if kernel is None or x is None or len(kernel) != 2 or len(x) != 4 or "stride" not in case.options:
        return
    stride = _pair(case.options["stride"] or kernel)
    padding, dilation = case.options.get("padding", 0), _pair(case.options.get("dilation", 1))
    spans = [dilation[i] * (kernel[i] - 1) + 1 for i in (0, 1)]
    found["windows that overlap"] = any(stride[i] < spans[i] for i in (0, 1))
    if not isinstance(padding, str):
        rests = [(x[2 + i] + 2 * _pair(padding)[i] - spans[i]) % stride[i] for i in (0, 1)]
        found["pixels left over at the edge"] = any(rests)


def _of_numbers(inputs: Inputs, found: dict[str, bool]) -> None:
    array = inputs.arrays[0]
    if array is None or array.dtype.kind != "f":
        return
    name = inputs.names[0]
    found[f"a zero in {name}"] = bool((array == 0).any())
    found[f"a negative number in {name}"] = bool((array < 0).any())
    if not np.isfinite(array).all():
        found[f"NaN in {name}"] = bool(np.isnan(array).any())
        found[f"infinity in {name}"] = bool(np.isinf(array).any())


def _pair(value: Any) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value, value)
