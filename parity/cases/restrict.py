"""Restrict a row's cases to those an implementation supports; cases are rebuilt to fit instead of discarded.

    parity.check("conv2d", my_conv2d, supports={"groups": 1, "stride": 1, "padding": 0, "square": True})

    square: True        image, kernel, stride, padding and dilation are square
    pairs: False|True   one number for each option and a square kernel; or a pair for each, even of equal numbers
    tuples: False       one number for stride, padding and dilation; the kernel may be any
    tiling: True        windows end at the edge of the padded image, without a remainder
    odd: True           odd kernels
    same: False         padding is a number, never "same" or "valid"
    batch: 1            this number of samples
    rank: 2             this number of axes of the input; of a set, one of them
    input: (1, 28, 28)  the input without its batch axis
    bias: True|False    always, or never
    ignored: False      no target is ignored
    probabilities: False  targets are class indices
    none: False         no gradient passed to an optimizer is None
    dtype: "float64"    this precision
    magnitude: 8        numbers no larger than this, as integers, or with a standard deviation no larger
    an option           has this value; of a set, one of them

A mapping may contain a predicate over the Case under "where"; `supports` may also be a predicate.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from hypothesis import strategies as st

from parity.cases import primitives as drawing
from parity.cases.case import ArraySpec, Case

Supports: TypeAlias = Mapping[str, Any] | Callable[[Case], bool]

_WINDOW = ("kernel_size", "stride", "padding", "dilation")
_WORDS = frozenset(
    {"batch", "rank", "input", "bias", "upstream", "dtype", "where", "magnitude"}
    | {"kernel_size", "square", "pairs", "tuples", "tiling", "odd"}
)


def narrow(strategy: st.SearchStrategy[Case], supports: Supports | None) -> st.SearchStrategy[Case]:
    """Rebuild every case of the strategy to fit, and discard those that cannot be rebuilt.

    Raises:
        TypeError: `supports` is neither a mapping nor a predicate.
    """
    if supports is None or supports == {}:
        return strategy
    if isinstance(supports, Mapping):
        wanted = dict(supports)
        where = wanted.pop("where", None)
        if where is not None:
            strategy = narrow(strategy, wanted)
            return drawing.narrowed(strategy, where)
        return drawing.narrowed(strategy, lambda case: fits(case, wanted), lambda case: narrowed(case, wanted))
    if callable(supports):
        return drawing.narrowed(strategy, supports)
    raise TypeError(f"supports must be a dict or a function of a case, got {type(supports).__name__}")


def known_words(case: Case) -> frozenset[str]:
    """The keywords of `supports` for cases of this row."""
    names = frozenset(spec.name for spec in case.arrays)
    words = _WORDS | frozenset(case.options) | frozenset(spec.name for spec in case.arrays if spec.keyword)
    if "padding" in case.options:
        words |= {"same"}
    if "target" in names and "weight" in names:
        words |= {"ignored", "ignore_index", "probabilities"}
    if "parameter" in names:
        words |= {"none"}
    return words


def narrowed(case: Case, wanted: Mapping[str, Any]) -> Case:
    """Return the nearest case that fits, if it can be built."""
    arrays = {spec.name: spec for spec in case.arrays}
    options = dict(case.options)
    for name, value in wanted.items():
        if name in options:
            options[name] = _one_of(value, options[name])
        elif name in arrays and arrays[name].keyword and value is None:
            arrays[name] = replace(arrays[name], shape=None)
    arrays = _targets(arrays, options, wanted)
    if wanted.get("none") is False:
        arrays = _all_gradients(arrays)
    if wanted.get("same") is False and isinstance(options.get("padding"), str):
        options["padding"] = 0
    if wanted.get("tuples") is False:
        _to_numbers(options)
    one = _first if wanted.get("square") or wanted.get("pairs") is False else _same
    for name in _WINDOW:
        if name in options:
            options[name] = one(options[name])
    first = case.arrays[0].name
    weight, bias = arrays.get("weight"), arrays.get("bias")
    if weight is not None and weight.shape is not None and len(weight.shape) == 4:
        kernel = one(weight.shape[2:])
        if "kernel_size" in wanted:
            kernel = _one_of(wanted["kernel_size"], kernel)
        if wanted.get("odd"):
            kernel = _odd(kernel)
        weight = replace(weight, shape=(*weight.shape[:2], *_pair(kernel)))
        arrays["weight"] = weight
        if "input" in wanted and "groups" not in wanted:
            options["groups"] = 1
        if options.get("padding") == "same" and "stride" not in wanted:
            options["stride"] = 1
    elif wanted.get("odd") and "kernel_size" in options:
        options["kernel_size"] = _odd(options["kernel_size"])
    if bias is not None and "bias" in wanted and not bias.keyword:
        outputs = None if weight is None or weight.shape is None else (weight.shape[0],)
        arrays["bias"] = replace(bias, shape=outputs if wanted["bias"] else None)
    shape = arrays[first].shape
    # The relevant axes come first in a loss over classes and in a normalization of channels: (N, C, …).
    targets_classes = "target" in arrays and (arrays["target"].kind == "classes" or "weight" in arrays)
    classes = "running_mean" in arrays or targets_classes
    if shape is not None:
        arrays[first] = replace(arrays[first], shape=_input(shape, wanted, options, weight, classes))
        arrays = _following(arrays, first, shape, wanted)
        if "running_mean" in arrays:
            arrays = _normalized(arrays, first, options, wanted)
        if "target" in arrays and options.get("reduction") == "mean" != case.options["reduction"]:
            arrays = _dyadic(arrays, first)
        if "mask" in arrays and "training" in options:
            arrays["mask"] = _drop_mask(arrays["mask"], arrays[first].shape or (), case.row, options["training"])
        _clamp_axes(options, len(arrays[first].shape or ()))
        if "kernel_size" in options and "padding" in options and "padding" not in wanted:
            options["padding"] = _allowed_padding(options, arrays[first].shape or ())
        if wanted.get("tiling") and "input" not in wanted:
            arrays[first] = replace(arrays[first], shape=_tiled(arrays[first].shape or (), options, weight))
    if wanted.get("pairs") is True:
        options |= {n: _pair(options[n]) for n in _WINDOW if isinstance(options.get(n), int)}
    values = {"dy": 1.0} if wanted.get("upstream") == 1 else case.values
    dtype = _one_of(wanted.get("dtype", case.dtype), case.dtype)
    magnitude = min(wanted.get("magnitude", case.magnitude), case.magnitude)
    return replace(
        case, arrays=tuple(arrays.values()), options=options, values=values, dtype=dtype, magnitude=magnitude
    )


def _targets(
    arrays: dict[str, ArraySpec], options: dict[str, Any], wanted: Mapping[str, Any]
) -> dict[str, ArraySpec]:
    """Mark targets as ignored according to the option, or mark none."""
    target = arrays.get("target")
    if target is None:
        return arrays
    if wanted.get("probabilities") is False and _is_probabilities(arrays):
        return arrays | {"target": _as_classes(target)}
    if target.ignored is None:
        return arrays
    if wanted.get("ignored") is False:
        options.pop("ignore_index", None)
        return arrays | {"target": replace(target, ignored=None)}
    return arrays | {"target": replace(target, ignored=options.get("ignore_index", target.ignored))}


def _drop_mask(mask: ArraySpec, shape: tuple[int, ...], row: str, training: bool) -> ArraySpec:
    """Keep a mask only in training: of the input's shape, or one number per channel."""
    return replace(mask, shape=(shape[:2] if row == "dropout2d" else shape) if training else None)


def _is_probabilities(arrays: Mapping[str, ArraySpec]) -> bool:
    """Whether the targets are class probabilities that indices can replace."""
    return "weight" in arrays and "target" in arrays and arrays["target"].kind == "weights"


def _as_classes(target: ArraySpec) -> ArraySpec:
    shape = target.shape or ()
    around = (*shape[:1], *shape[2:]) if len(shape) > 1 else ()
    return ArraySpec("target", around, "classes", shape[min(1, len(shape) - 1)] if shape else 1)


def _all_gradients(arrays: dict[str, ArraySpec]) -> dict[str, ArraySpec]:
    shape = next(iter(arrays.values())).shape
    return {name: replace(spec, shape=shape) for name, spec in arrays.items()}


def _to_numbers(options: dict[str, Any]) -> None:
    """Use one number per option except the kernel, also for a stride derived from a non-square kernel."""
    kernel = options.get("kernel_size")
    if options.get("stride", 1) is None and isinstance(kernel, tuple):
        options["stride"] = kernel
    options |= {name: _first(options[name]) for name in _WINDOW[1:] if name in options}


def _odd(kernel: Any) -> Any:
    return tuple(k | 1 for k in kernel) if isinstance(kernel, tuple) else kernel | 1


def _tiled(shape: tuple[int, ...], options: Mapping[str, Any], weight: ArraySpec | None) -> tuple[int, ...]:
    """The image without the remainder that no window covers."""
    if len(shape) != 4 or isinstance(options.get("padding"), str):
        return shape
    over = _remainders(shape, options, _kernel(options, weight))
    return (*shape[:2], *(size - more for size, more in zip(shape[2:], over, strict=True)))


def _remainders(shape: tuple[int, ...], options: Mapping[str, Any], kernel: Any) -> tuple[int, int]:
    """The rows and columns that no window covers."""
    stride = options.get("stride", 1)
    stride = kernel if stride is None else stride
    spans = [_at(options.get("dilation", 1), i) * (_at(kernel, i) - 1) + 1 for i in (0, 1)]
    padded = [shape[2 + i] + 2 * _at(options.get("padding", 0), i) for i in (0, 1)]
    height, width = (max(0, padded[i] - spans[i]) % _at(stride, i) for i in (0, 1))
    return height, width


def _kernel(options: Mapping[str, Any], weight: ArraySpec | None) -> Any:
    of_weight = weight is not None and weight.shape is not None and len(weight.shape) == 4
    return weight.shape[2:] if of_weight and weight is not None and weight.shape else options.get("kernel_size", 1)


def fits(case: Case, wanted: Mapping[str, Any]) -> bool:
    """Whether the case satisfies the restrictions and torch accepts it."""
    shape = case.arrays[0].shape
    if shape is None:
        return False
    specs = {spec.name: spec.shape for spec in case.arrays}
    checks: dict[str, Callable[[Any], bool]] = {
        "batch": lambda v: bool(shape) and shape[0] == v,
        "rank": lambda v: len(shape) == _one_of(v, len(shape)),
        "input": lambda v: shape[1:] == tuple(v),
        "bias": lambda v: "bias" not in specs or (specs["bias"] is not None) == v,
        "dtype": lambda v: case.dtype == _one_of(v, case.dtype),
        "same": lambda v: isinstance(case.options.get("padding"), str) <= v,
        "ignored": lambda v: any(spec.ignored is not None for spec in case.arrays) <= v,
        "probabilities": lambda v: _is_probabilities({spec.name: spec for spec in case.arrays}) <= v,
        "none": lambda v: any(spec.shape is None for spec in case.arrays) <= v,
        "odd": lambda v: not v or all(k % 2 for k in _pair(_kernel(case.options, _weight(case)))),
        "tiling": lambda v: not v or _tiles(case, shape),
        "tuples": lambda v: any(isinstance(case.options.get(name), tuple) for name in _WINDOW[1:]) <= v,
        "magnitude": lambda v: case.magnitude <= v,
        "pairs": lambda v: _has_pairs(case) in (None, v),
        "square": lambda v: not v or _is_square(case, shape),
    }
    for name, value in wanted.items():
        if name in checks and not checks[name](value):
            return False
        if name in case.options and case.options[name] != _one_of(value, case.options[name]):
            return False
    if _from_input(case.options) and "running_mean" in specs and _count(shape) == 1:
        return False  # no variance
    return _windows_fit(case, shape)


def _weight(case: Case) -> ArraySpec | None:
    return next((spec for spec in case.arrays if spec.name == "weight"), None)


def _tiles(case: Case, shape: tuple[int, ...]) -> bool:
    if len(shape) != 4 or isinstance(case.options.get("padding"), str):
        return True
    return _remainders(shape, case.options, _kernel(case.options, _weight(case))) == (0, 0)


def _has_pairs(case: Case) -> bool | None:
    """Whether an option is a pair or the kernel is not square; None for ops without a window."""
    if not any(name in case.options for name in ("kernel_size", "stride")):
        return None
    kernel = _kernel(case.options, _weight(case))
    options = [case.options[name] for name in _WINDOW if name in case.options]
    return any(isinstance(value, tuple) for value in options) or len({*_pair(kernel)}) > 1


def _is_square(case: Case, shape: tuple[int, ...]) -> bool:
    return len(shape) != 4 or (shape[2] == shape[3] and len({*_pair(_kernel(case.options, _weight(case)))}) == 1)


def _input(
    shape: tuple[int, ...],
    wanted: Mapping[str, Any],
    options: Mapping[str, Any],
    weight: ArraySpec | None,
    classes: bool,
) -> tuple[int, ...]:
    """The required shape of the input, large enough for a window."""
    if "rank" in wanted:
        shape = _of_rank(shape, _one_of(wanted["rank"], len(shape)), classes)
    if "input" in wanted:
        shape = (*(shape[:1] or (1,)), *wanted["input"])
    if "batch" in wanted and shape:
        shape = (wanted["batch"], *shape[1:])
    if len(shape) != 4:
        return shape
    if weight is not None and weight.shape is not None and len(weight.shape) == 4 and "input" not in wanted:
        shape = (shape[0], weight.shape[1] * options.get("groups", 1), *shape[2:])
    if wanted.get("square"):
        shape = (*shape[:2], max(shape[2:]), max(shape[2:]))
    kernel = weight.shape[2:] if weight is not None and weight.shape is not None else options.get("kernel_size")
    if kernel and "input" not in wanted:
        least = [_least(options, kernel, axis) for axis in (0, 1)]
        shape = (*shape[:2], *(max(size, n) for size, n in zip(shape[2:], least, strict=True)))
        if wanted.get("square"):
            shape = (*shape[:2], max(shape[2:]), max(shape[2:]))
    return shape


def _of_rank(shape: tuple[int, ...], rank: int, classes: bool) -> tuple[int, ...]:
    """`rank` axes: the last, where features are; for classes the first, (N, C, …).

    An added axis has the size 2: with N = 1 a mistake in a factor 1/N is invisible.
    """
    if not classes:
        return shape[len(shape) - rank :] if len(shape) >= rank else (*(2,) * (rank - len(shape)), *shape)
    if len(shape) == 1 and rank > 1:
        shape = (2, *shape)
    return (*shape[:rank], *(2,) * (rank - len(shape)))


def _dyadic(arrays: dict[str, ArraySpec], first: str) -> dict[str, ArraySpec]:
    """Use a power of two as the number of samples, all with weight 1, so that an unintended mean is exact too."""
    target, x = arrays["target"], arrays[first]
    assert target.shape is not None
    assert x.shape is not None

    def least(size: int) -> int:
        return 1 << size.bit_length() - 1 if size else 0

    around = tuple(map(least, target.shape))
    if target.kind != "classes":
        return arrays | {first: replace(x, shape=around), "target": replace(target, shape=around)}
    shape = (*around[:1], target.classes, *around[1:])
    found = {first: replace(x, shape=shape), "target": replace(target, shape=around, ignored=None)}
    return arrays | found | ({"weight": replace(arrays["weight"], shape=None)} if "weight" in arrays else {})


def _following(
    arrays: dict[str, ArraySpec], first: str, before: tuple[int, ...], wanted: Mapping[str, Any]
) -> dict[str, ArraySpec]:
    """The shapes that depend on the input's: a target's batch, a weight's channels."""
    shape = arrays[first].shape
    assert shape is not None
    if shape == before:
        return arrays
    target, weight = arrays.get("target"), arrays.get("weight")
    if target is not None and target.shape is not None:
        classes = target.kind == "classes"
        arrays["target"] = replace(target, shape=(*shape[:1], *shape[2:]) if classes and len(shape) > 1 else shape)
        if classes and len(shape) == 1:
            arrays["target"] = replace(target, shape=())
    if weight is not None and weight.shape is not None and "input" in wanted:
        if len(weight.shape) == 4 and len(shape) == 4:
            channels = shape[1] // wanted.get("groups", 1)
            arrays["weight"] = replace(weight, shape=(weight.shape[0], channels, *weight.shape[2:]))
        elif len(weight.shape) == 2:
            arrays["weight"] = replace(weight, shape=(weight.shape[0], shape[-1]))
    return arrays


def _normalized(
    arrays: dict[str, ArraySpec], first: str, options: Mapping[str, Any], wanted: Mapping[str, Any]
) -> dict[str, ArraySpec]:
    """One number per channel; in training at least two values per channel; otherwise statistics always."""
    shape = arrays[first].shape
    assert shape is not None
    from_input = options.get("training", options.get("use_input_stats"))  # instance_norm's name for it
    if from_input and _count(shape) == 1 and "batch" not in wanted:
        shape = (2, *shape[1:])
    there = {name for name, spec in arrays.items() if spec.shape is not None}
    there |= set() if from_input else {"running_mean", "running_var"}
    there = (there | {"bias"} if wanted["bias"] else there - {"bias"}) if "bias" in wanted else there
    return {
        name: replace(spec, shape=shape if name == first else shape[1:2] if name in there else None)
        for name, spec in arrays.items()
    }


def _count(shape: tuple[int, ...]) -> int:
    """The number of values per channel."""
    return math.prod(shape) // shape[1] if shape[1] else 0


def _windows_fit(case: Case, shape: tuple[int, ...]) -> bool:
    """Whether the channels match, a window fits into the padded image, and a pool allows the padding."""
    specs = {spec.name: spec.shape for spec in case.arrays}
    weight = specs.get("weight")
    kernel: Any = case.options.get("kernel_size")
    if weight is not None and len(weight) == 4 and len(shape) == 4:
        groups = case.options.get("groups", 1)
        if shape[1] != weight[1] * groups or weight[0] % groups:
            return False
        kernel = weight[2:]
    elif weight is not None and len(weight) == 2 and case.row == "linear":
        return bool(shape) and shape[-1] == weight[1]
    if kernel is None or len(shape) != 4:
        return True
    if case.options.get("padding") == "same":
        return bool(_pair(case.options.get("stride", 1)) == (1, 1))
    if any(shape[2 + axis] < _least(case.options, kernel, axis) for axis in (0, 1)):
        return False
    if "kernel_size" in case.options and "padding" in case.options:
        padding = _pair(case.options["padding"])
        return bool(_pair(_allowed_padding(case.options, shape)) == padding)
    return True


def _clamp_axes(options: dict[str, Any], rank: int) -> None:
    """Clamp dim, start_dim and end_dim to this number of axes, in order."""
    rank = max(rank, 1)
    for name in ("dim", "start_dim", "end_dim"):
        if isinstance(options.get(name), int):
            options[name] = min(max(options[name], -rank), rank - 1)
    if "start_dim" in options and options["start_dim"] % rank > options["end_dim"] % rank:
        options["end_dim"] = -1


def _allowed_padding(options: Mapping[str, Any], shape: tuple[int, ...]) -> Any:
    """A pool's padding: at most half of the kernel, and 0 if a window could skip the whole image."""
    if len(shape) != 4:
        return options["padding"]
    dilation, kernel, padding = options.get("dilation", 1), options["kernel_size"], options["padding"]
    sides = [min(_at(padding, i), _at(kernel, i) // 2) if _at(dilation, i) <= shape[2 + i] else 0 for i in (0, 1)]
    return sides[0] if isinstance(padding, int) and sides[0] == sides[1] else tuple(sides)


def _least(options: Mapping[str, Any], kernel: Any, axis: int) -> int:
    """The smallest image that a window fits into."""
    if options.get("padding") == "same":
        return 1
    padding = 0 if isinstance(options.get("padding"), str) else _at(options.get("padding", 0), axis)
    return max(1, _at(options.get("dilation", 1), axis) * (_at(kernel, axis) - 1) + 1 - 2 * padding)


def _pair(value: Any) -> Any:
    return value if isinstance(value, tuple) else (value, value)


def _at(value: Any, axis: int) -> int:
    return int(_pair(value)[axis])


def _same(value: Any) -> Any:
    return value


def _first(value: Any) -> Any:
    """One number for both axes: the larger kernel, the first of anything else."""
    return value[0] if isinstance(value, tuple) else value


def _one_of(wanted: Any, value: Any) -> Any:
    """The required value: the value itself if the set contains it, otherwise the smallest of the set."""
    if isinstance(wanted, (set, frozenset)):
        return value if value in wanted else min(wanted, key=str)
    return wanted


def as_typed(words: Mapping[str, Any]) -> list[str]:
    """Format the restrictions for `--supports`: groups=1, pairs=false, rank=2|4."""
    return [f"{name}={_typed(value)}" for name, value in words.items()]


def _typed(value: Any) -> str:
    if isinstance(value, (set, frozenset)):
        return "|".join(_typed(item) for item in sorted(value, key=str))
    if isinstance(value, tuple):
        return ",".join(map(_typed, value))
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)


def _from_input(options: Mapping[str, Any]) -> bool:
    """Whether a normalization computes its statistics from the input, by torch's option of either name."""
    return bool(options.get("training", options.get("use_input_stats", False)))
