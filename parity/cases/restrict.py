"""Restrict a row's cases to those an implementation supports; cases are rebuilt to fit instead of discarded.

    parity.check("conv2d", my_conv2d, supports={"groups": 1, "stride": 1, "padding": 0, "square": True})

    square: True        image, kernel, stride, padding and dilation are square
    pairs: False|True   one number for each option and a square kernel; or a pair for each, even of equal numbers
    tuples: False       one number for stride, padding and dilation; the kernel may be any
    tiling: True        windows end at the edge of the padded image, without a remainder
    odd: True           odd kernels
    channels: 1         this number of channels of the input of a convolution, in one group, or of a pool
    filters: 1          this number of filters of a convolution, in one group
    same: False         padding is a number, never "same" or "valid"
    batch: 1            this number of samples
    rank: 2             this number of axes of the input; of a set, one of them
    input: (1, 28, 28)  the input without its batch axis
    bias: True|False    always, or never
    ignored: False      no target is ignored
    probabilities: False  targets are class indices
    none: False         no gradient passed to an optimizer is None
    whole: True         the factors of an interpolation are whole numbers
    negative: False     no width of a padding is negative
    dtype: "float64"    this precision
    magnitude: 8        numbers no larger than this, as integers, or with a standard deviation no larger
    numbers: 500        at most this many numbers in all arrays together, and few in the output of windows
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
from parity.cases.restrict_resizing import SIZES, fitted, has_different, is_whole, resizes
from parity.cases.restrict_targets import (
    all_gradients,
    by_own_statistics,
    drop_mask,
    dyadic_samples,
    is_probabilities,
    targets,
    values_per_channel,
    with_statistics,
)
from parity.cases.restrict_windows import (
    WINDOW,
    allowed_padding,
    channels,
    first_number,
    folded,
    folds,
    has_pairs,
    is_square,
    kernel_of,
    least,
    little_padding,
    odd,
    output_padding,
    outputs,
    pair,
    pools,
    squared,
    tiled,
    tiles,
    to_numbers,
    unchanged,
    unpooled,
    weight_of,
    windows_fit,
)

Supports: TypeAlias = Mapping[str, Any] | Callable[[Case], bool]

# Arrays whose shapes follow the input's, or do not depend on its batch and the size of its images.
FOLLOW = frozenset({"weight", "bias", "target", "mask", "running_mean", "running_var"})
MOST_OUTPUTS = 4  # entries of the output of windows per number of `numbers`
_WORDS = frozenset(
    {"batch", "rank", "input", "bias", "upstream", "dtype", "where", "magnitude", "numbers"}
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
    if any(spec.name == "weight" and len(spec.shape or ()) == 4 for spec in case.arrays):
        words |= {"channels", "filters"}
    elif "kernel_size" in case.options:
        words |= {"channels"}
    if "target" in names and "weight" in names:
        words |= {"ignored", "ignore_index", "probabilities"}
    if "parameter" in names:
        words |= {"none"}
    if "pad" in case.options:
        words |= {"negative", "value"}
    if resizes(case.options):
        words |= {"whole", "align_corners", *SIZES}
    return words


def narrowed(case: Case, wanted: Mapping[str, Any]) -> Case:
    """Return the nearest case that fits, if it can be built."""
    arrays = {spec.name: spec for spec in case.arrays}
    options = dict(case.options)
    for name, value in wanted.items():
        if name in options and not (name in SIZES and value is None):
            options[name] = _one_of(value, options[name])
        elif name in arrays and value is None and (arrays[name].keyword or "eps" in options):
            arrays[name] = replace(arrays[name], shape=None)
    arrays = targets(arrays, options, wanted)
    if wanted.get("none") is False:
        arrays = all_gradients(arrays)
    if wanted.get("same") is False and isinstance(options.get("padding"), str):
        options["padding"] = 0
    if wanted.get("tuples") is False:
        to_numbers(options)
    one = first_number if wanted.get("square") or wanted.get("pairs") is False else unchanged
    for name in WINDOW:
        if name in options:
            options[name] = one(options[name])
    if "output_padding" in options:
        options["output_padding"] = output_padding(one(options["output_padding"]), options)
    first = case.arrays[0].name
    weight, bias = arrays.get("weight"), arrays.get("bias")
    if weight is not None and weight.shape is not None and len(weight.shape) == 4:
        kernel = one(weight.shape[2:])
        if "kernel_size" in wanted:
            kernel = _one_of(wanted["kernel_size"], kernel)
        if wanted.get("odd"):
            kernel = odd(kernel)
        if "channels" in wanted and "output_padding" not in options:
            options["groups"] = 1
            weight = replace(weight, shape=(weight.shape[0], wanted["channels"], *weight.shape[2:]))
        if "filters" in wanted and "output_padding" not in options and weight.shape is not None:
            options["groups"] = 1
            weight = replace(weight, shape=(wanted["filters"], *weight.shape[1:]))
            if bias is not None and bias.shape is not None:
                arrays["bias"] = bias = replace(bias, shape=(wanted["filters"],))
        weight = replace(weight, shape=(*(weight.shape or ())[:2], *pair(kernel)))
        arrays["weight"] = weight
        if "input" in wanted and "groups" not in wanted:
            options["groups"] = 1
        if options.get("padding") == "same" and "stride" not in wanted:
            options["stride"] = 1
        if "numbers" in wanted and "padding" not in wanted and "output_padding" not in options:
            options["padding"] = little_padding(options["padding"], kernel)
    elif wanted.get("odd") and "kernel_size" in options:
        options["kernel_size"] = odd(options["kernel_size"])
    if bias is not None and "bias" in wanted:
        outputs = None if weight is None else weight.shape  # of a normalization
        if outputs is not None and "normalized_shape" not in options and len(outputs) > 1:
            outputs = (channels(outputs, options)[1],)
        arrays["bias"] = replace(bias, shape=outputs if wanted["bias"] else None)
    elif bias is not None and bias.shape is not None and "output_padding" in options and weight is not None:
        arrays["bias"] = replace(bias, shape=(channels(weight.shape or (), options)[1],))
    shape = arrays[first].shape
    # The relevant axes come first in a loss over classes and in a normalization of channels: (N, C, …).
    targets_classes = "target" in arrays and (arrays["target"].kind == "classes" or "weight" in arrays)
    classes = "running_mean" in arrays or "num_groups" in options or targets_classes
    if shape is not None:
        own = {name: value for name, value in wanted.items() if name != "numbers" or {*arrays} - {first} <= FOLLOW}
        if "normalized_shape" in options:
            own.pop("numbers", None)
        # Unpooling and fold have no windows over their input.
        slid = {} if "indices" in arrays or folds(options) else options
        inside = _input(shape, own, slid, weight, classes)
        if folds(options) and "input" not in wanted:
            inside = folded(inside, case.options, options)
        inside = fitted(inside, options, wanted, len(inside))
        if options.get("normalized_shape") != case.options.get("normalized_shape"):
            inside, arrays = _normalized(inside, options["normalized_shape"], case, arrays)
        arrays[first] = replace(arrays[first], shape=inside)
        arrays = _following(arrays, first, shape, wanted)
        if "running_mean" in arrays:
            arrays = with_statistics(arrays, first, options, wanted)
        if "target" in arrays and options.get("reduction") == "mean" != case.options["reduction"]:
            arrays = dyadic_samples(arrays, first)
        if "mask" in arrays and "training" in options:
            arrays["mask"] = drop_mask(arrays["mask"], arrays[first].shape or (), case.row, options["training"])
        _clamp_axes(options, len(arrays[first].shape or ()))
        if pools(options) and "padding" not in wanted:
            options["padding"] = allowed_padding(options, arrays[first].shape or ())
        if "indices" in arrays:
            inside = arrays[first].shape or ()
            most = max(1, unpooled(options, inside))
            arrays["indices"] = replace(arrays["indices"], shape=inside, classes=most)
        if wanted.get("tiling") and "input" not in wanted:
            arrays[first] = replace(arrays[first], shape=tiled(arrays[first].shape or (), options, weight))
    if wanted.get("pairs") is True:
        options |= {n: pair(options[n]) for n in WINDOW if isinstance(options.get(n), int)}
    values = {"dy": 1.0} if wanted.get("upstream") == 1 else case.values
    dtype = _one_of(wanted.get("dtype", case.dtype), case.dtype)
    magnitude = min(wanted.get("magnitude", case.magnitude), case.magnitude)
    return replace(
        case, arrays=tuple(arrays.values()), options=options, values=values, dtype=dtype, magnitude=magnitude
    )


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
        "probabilities": lambda v: is_probabilities({spec.name: spec for spec in case.arrays}) <= v,
        "none": lambda v: any(spec.shape is None for spec in case.arrays) <= v,
        "odd": lambda v: not v or all(k % 2 for k in pair(kernel_of(case.options, weight_of(case)))),
        "channels": lambda v: shape[1:2] == (v,) and case.options.get("groups", 1) == 1,
        "filters": lambda v: (specs.get("weight") or (v,))[0] == v and case.options.get("groups", 1) == 1,
        "kernel_size": lambda v: (
            pair(_one_of(v, of_kernel := kernel_of(case.options, weight_of(case)))) == pair(of_kernel)
        ),
        "tiling": lambda v: not v or tiles(case, shape),
        "tuples": lambda v: any(isinstance(case.options.get(name), tuple) for name in WINDOW[1:]) <= v,
        "magnitude": lambda v: case.magnitude <= v,
        "numbers": lambda v: numbers_in(case) <= v and _outputs_of(case, shape) <= MOST_OUTPUTS * v,
        "weight": lambda v: v is not None or specs.get("weight") is None,
        "pairs": lambda v: has_pairs(case) in (None, v) and has_different(case.options) in (None, v),
        "whole": lambda v: is_whole(case.options) >= v,
        "negative": lambda v: any(width < 0 for width in case.options.get("pad", ())) <= v,
        "square": lambda v: not v or is_square(case, shape),
    }
    for name, value in wanted.items():
        if name in checks and not checks[name](value):
            return False
        if name in case.options and case.options[name] != _one_of(value, case.options[name]):
            return False
    if by_own_statistics(case.options) and "running_mean" in specs and values_per_channel(shape) == 1:
        return False  # no variance
    return windows_fit(case, shape)


def numbers_in(case: Case) -> int:
    """The number of entries of all arrays of a case; an empty axis counts as 1, because the others may be long."""
    return sum(math.prod(max(size, 1) for size in spec.shape) for spec in case.arrays if spec.shape is not None)


def _outputs_of(case: Case, shape: tuple[int, ...]) -> int:
    """The number of entries of the output of windows."""
    return shape[0] * outputs(shape, case.options, weight_of(case)) if len(shape) == 4 else 0


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
    if "numbers" in wanted and "input" not in wanted and len(shape) > 1:
        shape = _of_few(shape, wanted["numbers"] - (math.prod(weight.shape) if weight and weight.shape else 0))
        if "batch" not in wanted:
            shape = (min(shape[0], max(2, wanted["numbers"] // outputs(shape, options, weight))), *shape[1:])
    slides = weight is not None and weight.shape is not None and len(weight.shape) == len(shape) in (3, 4)
    if "channels" in wanted and weight is None and len(shape) == 4:
        shape = (shape[0], wanted["channels"], *shape[2:])
    if len(shape) != 4 and not slides:
        return shape
    kernel = weight.shape[2:] if slides and weight and weight.shape else options.get("kernel_size")
    if slides and weight and weight.shape and "input" not in wanted:
        shape = (shape[0], channels(weight.shape, options)[0], *shape[2:])
    if wanted.get("square") and len(shape) == 4:
        shape = squared(shape)
    if kernel and "input" not in wanted:
        shape = (*shape[:2], *(max(size, least(options, kernel, i)) for i, size in enumerate(shape[2:])))
        if wanted.get("square") and len(shape) == 4:
            shape = (*shape[:2], max(shape[2:]), max(shape[2:]))
    return shape


def _of_few(shape: tuple[int, ...], most: int) -> tuple[int, ...]:
    """A smaller batch, and smaller images, so that there are at most `most` entries if a size of 2 allows it."""
    sizes = [*shape]
    for axis in (0, 3, 2) if len(shape) == 4 else (0,):
        rest = math.prod(sizes[:axis] + sizes[axis + 1 :])
        sizes[axis] = min(sizes[axis], max(2, most // max(rest, 1)))
    return tuple(sizes)


def _of_rank(shape: tuple[int, ...], rank: int, classes: bool) -> tuple[int, ...]:
    """`rank` axes: the last, where features are; for classes the first, (N, C, …).

    An added axis has the size 2: with N = 1 a mistake in a factor 1/N is invisible.
    """
    if not classes:
        return shape[len(shape) - rank :] if len(shape) >= rank else (*(2,) * (rank - len(shape)), *shape)
    if len(shape) == 1 and rank > 1:
        shape = (2, *shape)
    return (*shape[:rank], *(2,) * (rank - len(shape)))


def _normalized(
    shape: tuple[int, ...], each: tuple[int, ...], case: Case, arrays: dict[str, ArraySpec]
) -> tuple[tuple[int, ...], dict[str, ArraySpec]]:
    """An input that ends with the normalized axes, and parameters of their shape."""
    leading = shape[: len(shape) - len(case.options["normalized_shape"])]
    of_shape = {n: replace(arrays[n], shape=each) for n in ("weight", "bias") if arrays[n].shape is not None}
    return (*leading, *each), arrays | of_shape


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


def _clamp_axes(options: dict[str, Any], rank: int) -> None:
    """Clamp dim, start_dim and end_dim to this number of axes, in order."""
    rank = max(rank, 1)
    for name in ("dim", "start_dim", "end_dim"):
        if isinstance(options.get(name), int):
            options[name] = min(max(options[name], -rank), rank - 1)
    if "start_dim" in options and options["start_dim"] % rank > options["end_dim"] % rank:
        options["end_dim"] = -1


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
