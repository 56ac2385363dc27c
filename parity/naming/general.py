"""Mistakes that any op can have: a sign, a factor, the upstream gradient, an argument, a missing part of a sum.

They apply to every row, including new ones.
"""

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

import numpy as np

from parity.cases.op import Array
from parity.naming.explanation import EditInputs, EditResult, Explanation, mistake, scaled
from parity.naming.probe import NotApplicable, Probe

GRADIENT = "grad_"
Places: TypeAlias = Callable[[Array], Any]


def samples(probe: Probe) -> int:
    """N, the size of the first axis."""
    return len(probe.first) if probe.first.ndim else 1


def upstream(edit: Callable[[Array], Array]) -> EditInputs:
    """Edit the cotangent."""
    return lambda probe: probe.with_upstream(np.asarray(edit(probe.dy)))


def argument(name: str, edit: Callable[[Array], Array | None]) -> EditInputs:
    """Edit one array; the call is unchanged if that array is None."""

    def inputs(probe: Probe) -> Probe:
        array = probe.arrays.get(name)
        if array is None:
            return probe
        edited = edit(array)
        return probe.with_arrays(**{name: None if edited is None else np.ascontiguousarray(edited)})

    return inputs


def result_only(edit: Callable[[Array], Array]) -> EditResult:
    """Make an edit of the result that does not depend on the call."""
    return lambda result, _: edit(result)


def kept(*index: Any) -> Callable[[Array], Array]:
    """Keep the elements at an index and set the others to 0."""

    def edit(array: Array) -> Array:
        if array.ndim < len(index):
            raise NotApplicable("too few axes")
        found = np.zeros_like(array)
        found[index] = array[index]
        return found

    return edit


def lost(axis: int, place: int, least_axes: int) -> Callable[[Array], Array]:
    """Set one position of an axis to 0."""

    def edit(array: Array) -> Array:
        if array.ndim < least_axes:
            raise NotApplicable("too few axes")
        found = array.copy()
        np.moveaxis(found, axis, 0)[place] = 0
        return found

    return edit


def _everywhere(name: str, edit: Callable[[Array], Array]) -> Explanation:
    """Edit the output; for gradients, edit the cotangent."""
    return mistake(
        name,
        inputs=lambda probe: probe if probe.is_output else upstream(edit)(probe),
        result=lambda result, probe: edit(result) if probe.is_output else result,
    )


def _repeated(axis: int, place: int) -> Callable[[Array], Array]:
    def edit(array: Array) -> Array:
        if array.ndim <= axis:
            raise NotApplicable("too few axes")
        return np.broadcast_to(np.take(array, [place], axis), array.shape)

    return edit


SIDES = {(1, 0): "down", (-1, 0): "up", (0, 1): "to the right", (0, -1): "to the left"}
SIDES |= {(1, 1): "down and to the right", (-1, -1): "up and to the left"}


def _shifted(by: tuple[int, int], wraps: bool) -> Callable[[Array], Array]:
    def edit(array: Array) -> Array:
        if array.ndim < 2:
            raise NotApplicable("there are no rows and columns")
        shifted = np.roll(array, by, (-2, -1))
        for axis, step in zip((-2, -1), by, strict=True):
            if step and not wraps:
                np.moveaxis(shifted, axis, 0)[0 if step > 0 else -1] = 0
        return shifted

    return edit


def _shifts() -> Iterator[Explanation]:
    for by, side in SIDES.items():
        yield mistake("result-shifted", result=result_only(_shifted(by, wraps=False)), where=side)
        around = f"{side}, and what is pushed out comes in on the other side"
        yield mistake("result-shifted", result=result_only(_shifted(by, wraps=True)), where=around)


def _other_gradients(arrays: tuple[str, ...]) -> Iterator[Explanation]:
    for name in arrays:

        def other(probe: Probe, name: str = name) -> Array:
            if probe.quantity == f"grad_{name}":
                raise NotApplicable("it is its own gradient")
            probe.array(name)
            return probe.of_quantity(f"grad_{name}").reference()

        yield mistake("other-gradient", GRADIENT, formula=other, array=name)


def _multiplied_by(name: str) -> EditResult:
    """A gradient whose zeros are products with an array instead of a selection."""

    def edit(result: Array, probe: Probe) -> Array:
        factor = probe.first if name == "input" else probe.dy
        if not factor.shape == probe.dy.shape == result.shape:
            raise NotApplicable("the gradient is not computed entry by entry")
        return np.where((result == 0) & (probe.dy != 0) & ~np.isfinite(factor), np.nan, result).astype(
            result.dtype
        )

    return edit


def _along_other_axis(probe: Probe) -> Array:
    """The bias broadcast along another axis, where that axis has as many entries."""
    bias, weight = probe.array("bias"), probe.array("weight")
    y = probe.reference()
    other = -2 if weight.ndim < 3 else -1  # of a dense layer, of a convolution
    if bias.ndim != 1 or weight.ndim < 2 or y.ndim < 2 or y.shape[other] != bias.size:
        return y
    plain = probe.with_arrays(bias=None).reference()
    return np.moveaxis(np.moveaxis(plain, other, -1) + bias, -1, other)


FACTORS = (
    mistake("negated", result=scaled(lambda _: -1)),
    mistake("doubled", result=scaled(lambda _: 2)),
    mistake("halved", result=scaled(lambda _: 0.5)),
    mistake("batch-mean", GRADIENT, result=scaled(lambda p: 1 / samples(p)), convention=True),
    mistake("batch-sum", result=scaled(samples)),
)

UPSTREAM = (
    mistake("upstream-ignored", GRADIENT, upstream(np.ones_like)),
    mistake("upstream-squared", GRADIENT, upstream(np.square)),
    mistake("upstream-mean", GRADIENT, upstream(lambda dy: np.full_like(dy, dy.mean()))),
    mistake("upstream-sum", GRADIENT, upstream(lambda dy: np.full_like(dy, dy.sum()))),
    mistake("upstream-absolute", GRADIENT, upstream(np.abs)),
    mistake("passes-upstream", "grad_input", formula=lambda probe: probe.dy),
)

ZERO_TIMES_INFINITY = tuple(
    mistake("zero-times-infinity", GRADIENT, result=_multiplied_by(name), array=name)
    for name in ("upstream gradient", "input")
)

ZERO = mistake("zero", result=result_only(np.zeros_like))

BIAS = (
    mistake("bias-missing", "output", argument("bias", lambda _: None)),
    mistake("bias-doubled", "output", argument("bias", lambda b: 2 * b)),
    mistake("bias-negated", "output", argument("bias", lambda b: -b)),
    mistake("bias-along-other-axis", "output", formula=_along_other_axis),
)

# Every entry of the bias is added to dy.size / b.size outputs.
BIAS_MEAN = mistake("entries-mean", "grad_bias", result=scaled(lambda p: p.array("bias").size / max(p.dy.size, 1)))

_LOST = (("row", -2, 3), ("column", -1, 3), ("sample", 0, 2), ("channel", 1, 2))

GENERAL = (
    *FACTORS,
    *UPSTREAM,
    ZERO,
    *ZERO_TIMES_INFINITY,
    *BIAS,
    BIAS_MEAN,
    mistake("result-flipped", result=result_only(lambda a: np.flip(a, (-2, -1)))),
    mistake("first-axis-dropped", result=result_only(lambda a: a[0] if a.ndim and len(a) == 1 else a)),
    mistake("axes-of-one-dropped", result=result_only(np.squeeze)),
    mistake("spatial-axes-swapped", result=result_only(lambda a: a.swapaxes(-2, -1))),
    mistake("channels-transposed", result=result_only(lambda a: a.swapaxes(0, 1))),
    *(_everywhere(f"first-{part}-lost", lost(axis, 0, least)) for part, axis, least in _LOST),
    *(_everywhere(f"last-{part}-lost", lost(axis, -1, least)) for part, axis, least in _LOST),
    _everywhere("first-sample-only", kept(slice(0, 1))),
    _everywhere("last-sample-only", kept(slice(-1, None))),
    _everywhere("first-plane-only", kept(0, 0)),
    *_shifts(),
    mistake("first-sample-for-all", result=result_only(_repeated(0, 0))),
    mistake("last-sample-for-all", result=result_only(_repeated(0, -1))),
    mistake("first-channel-for-all", result=result_only(_repeated(1, 0))),
)


UNROLLED = (3, 4, 5, 8, 16)  # elements that an unrolled loop covers


def _climbs(probe: Probe) -> Probe:
    """Negate the gradients of an optimizer's steps."""
    steps = {n: None if a is None else -a for n, a in probe.arrays.items() if n.startswith("gradient")}
    return probe.with_arrays(**steps)


def of_arguments(arrays: tuple[str, ...]) -> Iterator[Explanation]:
    """Mistakes in the arrays after the input."""
    if "parameter" in arrays:
        yield mistake("ascends", "", _climbs)
    yield from _other_gradients(arrays)
    for name in arrays[1:]:
        if name != "bias":  # see BIAS
            yield mistake("argument-missing", "", argument(name, lambda _: None), array=name)
            yield mistake("argument-negated", "", argument(name, np.negative), array=name)
            yield mistake("argument-doubled", "", argument(name, lambda a: 2 * a), array=name)
        for which, edit in (("transposed", _transposed), ("flipped", _flipped)):
            yield mistake(f"argument-{which}", "", argument(name, edit), _gradient_of(name, edit), array=name)
        for axis, parts in ((-2, "rows"), (-1, "columns")):
            for count in UNROLLED:
                cut = _cut(axis, count)
                how = argument(name, cut), _gradient_of(name, cut)
                yield mistake("argument-cut", "", *how, array=name, count=count, parts=parts)


def _transposed(array: Array) -> Array:
    if array.ndim < 2 or array.shape[-1] != array.shape[-2]:
        # Another shape raises, or broadcasts against the input to a huge array.
        raise NotApplicable("its last two axes differ")
    return array.swapaxes(-1, -2)


def _cut(axis: int, count: int) -> Callable[[Array], Array]:
    def edit(array: Array) -> Array:
        if array.ndim < 2:
            raise NotApplicable("there are no rows and columns")
        found = array.copy()
        np.moveaxis(found, axis, 0)[count:] = 0
        return found

    return edit


def _flipped(array: Array) -> Array:
    if array.ndim < 3:
        raise NotApplicable("there are no spatial axes")
    return np.flip(array, tuple(range(2, array.ndim)))


def _gradient_of(name: str, edit: Callable[[Array], Array]) -> EditResult:
    return lambda result, probe: edit(result) if probe.quantity == f"grad_{name}" else result


def of_options(options: dict[str, Any], defaults: dict[str, Any]) -> Iterator[Explanation]:
    """Mistakes in the options: replaced by a neutral value or their default, swapped, off by one, doubled."""
    for name, value in options.items():
        instead = [*_neutral(name, value)]
        if name in defaults and defaults[name] not in instead:
            instead.append(defaults[name])
        for neutral in instead:
            yield _option(name, "option-ignored", _always(neutral), value=neutral)
        if isinstance(value, float):
            yield _option(name, "option-truncated", math.trunc)
            yield _option(name, "option-doubled", lambda v: 2 * v)
            yield _option(name, "option-squared", lambda v: v * v)
        if isinstance(value, tuple):
            for place, which in ((0, "first"), (-1, "last")):
                yield _option(name, f"option-{which}-for-all", _repeated_number(place))
            yield _option(name, "option-none-is-one", _each(lambda v: 1 if v is None else v))
            yield _option(name, "option-negative-is-zero", _each(lambda v: max(v, 0)))
        if isinstance(value, int | float) and not isinstance(value, bool):
            yield mistake("divided-by-option", result=_over(name), option=name)
            yield mistake("multiplied-by-option", result=_times(name), option=name)
        if isinstance(value, int | tuple) and not isinstance(value, bool):
            if isinstance(value, int):
                yield _option(name, "option-negative-is-zero", lambda v: max(v, 0) if isinstance(v, int) else v)
            yield _option(name, "option-swapped", lambda v: v[::-1] if isinstance(v, tuple) else v)
            yield _option(name, "option-off-by-one", _moved(1), value="+1")
            yield _option(name, "option-off-by-one", _moved(-1), value="-1")


def _times(name: str) -> EditResult:
    return scaled(lambda probe: probe.options[name])


def _over(name: str) -> EditResult:
    return scaled(lambda probe: 1 / probe.options[name])


WORDS = (
    {"mean", "sum", "none", "batchmean"},
    {"none", "tanh"},
    {"constant", "reflect", "replicate", "circular"},
    {"nearest", "linear", "bilinear"},
)


def _neutral(name: str, value: Any) -> Iterable[Any]:
    """The values that an ignored option may have instead."""
    if isinstance(value, bool):
        return False, True
    if isinstance(value, str):
        return sorted(set().union(*(words for words in WORDS if value in words)))
    if name == "align_corners":
        return False, True
    if value is None or name in ("divisor_override", "output_size"):
        return (None,)
    return (0, 1) if isinstance(value, int | float | tuple) else ()


def _option(name: str, which: str, edit: Callable[[Any], Any], **values: Any) -> Explanation:
    def inputs(probe: Probe) -> Probe:
        return probe.with_options(**{name: edit(probe.options[name])}) if name in probe.options else probe

    return mistake(which, "", inputs, option=name, **values)


def _always(value: Any) -> Callable[[Any], Any]:
    return lambda _: value


def _each(edit: Callable[[Any], Any]) -> Callable[[Any], Any]:
    return lambda value: tuple(map(edit, value)) if isinstance(value, tuple) else value


def _repeated_number(place: int) -> Callable[[Any], Any]:
    return lambda value: (value[place],) * len(value) if isinstance(value, tuple) else value


def _moved(by: int) -> Callable[[Any], Any]:
    return lambda value: tuple(v + by for v in value) if isinstance(value, tuple) else value + by
