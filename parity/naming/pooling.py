"""What goes wrong in max-pooling: what stands in the padding, and who gets the gradient."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product

import numpy as np

from parity.cases.torch_op import Array
from parity.naming.explanation import Computes, Explanation, NoAnswer, Question
from parity.naming.general import scaled
from parity.naming.windows import Canvas, Geometry, Pair, covered

Shares = Callable[[Array], Array]


def _windows(
    question: Question, fill: float = -np.inf, geometry: Geometry | None = None, ceil: bool = False
) -> tuple[Array, Geometry]:
    """The values under the taps, (N, C, oh, ow, kh·kw), and where they are."""
    x, windows = question.first, question.dy.shape[2:]
    if geometry is None:
        geometry = Geometry.of(question)
    else:
        windows = tuple(_count(geometry, axis, size, ceil) for axis, size in enumerate(x.shape[2:]))
    canvas = Canvas(x.shape, geometry, windows, fill)
    canvas.image[...] = x
    return np.stack([canvas.array[canvas.place(i, j)] for i, j in geometry.taps()], axis=-1), geometry


def _count(g: Geometry, axis: int, size: int, ceil: bool) -> int:
    """How many windows fit; in ceil_mode one more may reach over the edge, if it begins before it."""
    stride, more = g.stride[axis], size + 2 * g.padding[axis] - g.dilation[axis] * (g.kernel[axis] - 1) - 1
    if not ceil:
        return max(0, more // stride + 1)
    count = -(-more // stride) + 1
    return max(0, count - ((count - 1) * stride >= size + g.padding[axis]))


def _maximum_with(alters: Callable[[Geometry], Geometry], floor: bool = False) -> Computes:
    def computes(question: Question) -> Array:
        ceil = question.options["ceil_mode"] and not floor
        return np.asarray(_windows(question, geometry=alters(Geometry.of(question)), ceil=ceil)[0].max(axis=-1))

    return computes


def _routed_with(alters: Callable[[Geometry], Geometry]) -> Computes:
    """The right winners, whose gradient is laid where another geometry has them."""

    def computes(question: Question) -> Array:
        values, geometry = _windows(question)
        return _scattered(question, alters(geometry), question.dy[..., None] * first_maximum(values))

    return computes


def _decoded_by_height(question: Question) -> Array:
    """The winner's number t is split into (t // kh, t % kh), where it should be split by kw."""
    values, g = _windows(question)
    parts, (kh, kw) = question.dy[..., None] * first_maximum(values), g.kernel
    canvas = Canvas(question.first.shape, replace(g, kernel=(kh * kw, kh * kw)), question.dy.shape[2:])
    for tap in range(kh * kw):
        canvas.array[canvas.place(tap // kh, tap % kh)] += parts[..., tap]
    return canvas.image


def _scattered(question: Question, geometry: Geometry, parts: Array) -> Array:
    """The parts (N, C, oh, ow, kh·kw) added up where their taps lie."""
    canvas = Canvas(question.first.shape, geometry, question.dy.shape[2:])
    for tap, (i, j) in enumerate(geometry.taps()):
        canvas.array[canvas.place(i, j)] += parts[..., tap]
    return canvas.image


def _routed(shares: Shares, fill: float = -np.inf) -> Computes:
    """dx where each tap takes its share of its window's dy."""

    def computes(question: Question) -> Array:
        values, geometry = _windows(question, fill)
        return _scattered(question, geometry, question.dy[..., None] * shares(values))

    return computes


def _one_hot(places: Array, taps: int) -> Array:
    return np.asarray(places[..., None] == np.arange(taps))


def first_maximum(values: Array) -> Array:
    """The whole of it to the first maximum of a window; NaN beats every number."""
    return _one_hot(np.argmax(values, axis=-1), values.shape[-1])


def _last_maximum(values: Array) -> Array:
    taps = values.shape[-1]
    return _one_hot(taps - 1 - np.argmax(values[..., ::-1], axis=-1), taps)


def _all_maxima(values: Array) -> Array:
    return np.asarray(values == values.max(axis=-1, keepdims=True))


def _split(values: Array) -> Array:
    shares = _all_maxima(values)
    return np.asarray(shares / shares.sum(axis=-1, keepdims=True))


def _overwritten(order: int, zeros: bool = True) -> Computes:
    """One window after the other writes where its maximum is, and nothing is added up; a 0 may be left out."""

    def computes(question: Question) -> Array:
        values, geometry = _windows(question)
        shares = first_maximum(values)
        canvas = Canvas(question.first.shape, geometry, question.dy.shape[2:])
        rows, columns = values.shape[2:4]
        for p, q in [*product(range(rows), range(columns))][::order]:
            window = canvas.array[canvas.window(p, q)]
            taken = shares[:, :, p, q].reshape(window.shape)
            taken = taken & (zeros | (question.dy[:, :, p, q, None, None] != 0))
            canvas.array[canvas.window(p, q)] = np.where(taken, question.dy[:, :, p, q, None, None], window)
        return canvas.image

    return computes


def _reduced(reduce: Callable[[Array], Array], fill: float = -np.inf) -> Computes:
    return lambda question: reduce(_windows(question, fill)[0])


def _mean_of_inside(values: Array) -> Array:
    inside = np.where(np.isinf(values), 0, values)
    return np.asarray(inside.sum(axis=-1) / (~np.isinf(values)).sum(axis=-1))


def _options() -> Iterator[Explanation]:
    """Stride, padding and dilation: ignored, swapped, or one axis' number for both."""
    for name, plain in (("stride", 1), ("padding", 0), ("dilation", 1), ("kernel", None)):
        for kind, sentence, change in (
            (
                "ignored",
                f"the {name} is ignored",
                None if plain is None else lambda _, plain=plain: (plain, plain),
            ),
            ("swapped", f"the {name} of height and width are swapped", lambda v: v[::-1]),
            ("height-only", f"the height's {name} is used for both axes", lambda v: (v[0], v[0])),
            ("width-only", f"the width's {name} is used for both axes", lambda v: (v[1], v[1])),
        ):
            if change is None:
                continue

            def alters(g: Geometry, name: str = name, change: Callable[[Pair], Pair] = change) -> Geometry:
                return replace(g, **{name: change(getattr(g, name))})

            def asks(question: Question, alters: Callable[[Geometry], Geometry] = alters) -> Question:
                g = alters(Geometry.of(question))
                return question.with_options(
                    kernel_size=g.kernel, stride=g.stride, padding=g.padding, dilation=g.dilation
                )

            yield Explanation(f"{name}-{kind}", sentence, asks)
            yield Explanation(f"{name}-{kind}", sentence, computes=_maximum_with(alters), quantities="output")
            if name != "kernel":
                yield Explanation(f"{name}-{kind}", sentence, computes=_routed_with(alters), quantities="grad_")


def _stride_of_kernel(question: Question) -> Question:
    return question.with_options(stride=None)


def _first_position(values: Array) -> Array:
    return _one_hot(np.zeros(values.shape[:-1], int), values.shape[-1])


def _nan_ignored(values: Array) -> Array:
    return np.asarray(np.fmax.reduce(values, axis=-1))


def _padded_with_zeros(question: Question) -> Question:
    if not question.about_output:
        raise NoAnswer("the padding's own gradient would have to be cut off")
    padded = np.pad(question.first, Geometry.of(question).frame)
    return question.with_arrays(input=padded).with_options(padding=0)


POOLING = (
    *_options(),
    Explanation("stride-of-kernel", "the stride is taken for the kernel's size", _stride_of_kernel),
    Explanation("ceil-ignored", "ceil_mode is ignored", lambda question: question.with_options(ceil_mode=False)),
    Explanation(
        "ceil-ignored",
        "ceil_mode is ignored",
        computes=_maximum_with(lambda g: g, floor=True),
        quantities="output",
    ),
    Explanation(
        "starts-from-zero",
        "the maximum is never below 0, as if it were looked for from 0 on",
        makes=lambda answer, _: np.maximum(answer, 0),
        quantities="output",
    ),
    Explanation(
        "remainder-dropped",
        "it ends with the last window: rows and columns that the stride leaves over are missing",
        makes=covered,
        quantities="grad_",
    ),
    Explanation(
        "kernel-transposed",
        "the winner's number is split by the kernel's height, where it should be split by its width",
        computes=_decoded_by_height,
        quantities="grad_",
    ),
    Explanation(
        "always-ceil",
        "windows reach over the edge although ceil_mode is False",
        lambda question: question.with_options(ceil_mode=True),
    ),
    Explanation(
        "zero-padding",
        "0 stands in the padding, where −∞ belongs",
        computes=_reduced(lambda values: values.max(axis=-1), fill=0.0),
        quantities="output",
    ),
    Explanation(
        "zero-padding", "0 stands in the padding, where −∞ belongs", _padded_with_zeros, quantities="output"
    ),
    Explanation(
        "zero-padding",
        "0 stands in the padding, where −∞ belongs, and takes the gradient of windows that are negative",
        computes=_routed(first_maximum, fill=0.0),
        quantities="grad_",
    ),
    Explanation(
        "minimum",
        "it takes the minimum of a window",
        computes=_reduced(lambda values: values.min(axis=-1), fill=np.inf),
        quantities="output",
    ),
    Explanation(
        "minimum",
        "it goes to the minimum of a window",
        computes=_routed(lambda values: first_maximum(-values), fill=np.inf),
        quantities="grad_",
    ),
    Explanation(
        "absolute-maximum",
        "it takes the entry of the largest absolute value",
        computes=_reduced(lambda values: np.abs(values).max(axis=-1), fill=0.0),
        quantities="output",
    ),
    Explanation(
        "average", "it takes the mean of a window", computes=_reduced(_mean_of_inside), quantities="output"
    ),
    Explanation(
        "average",
        "it takes the mean of a window, the padding counted as zeros",
        computes=_reduced(lambda values: values.mean(axis=-1), fill=0.0),
        quantities="output",
    ),
    Explanation(
        "ties-to-last",
        "where values tie, the last maximum of a window takes the gradient, not the first",
        computes=_routed(_last_maximum),
        quantities="grad_",
    ),
    Explanation(
        "ties-to-all",
        "where values tie, every maximum of a window takes the whole gradient, not the first alone",
        computes=_routed(_all_maxima),
        quantities="grad_",
    ),
    Explanation(
        "ties-split",
        "where values tie, the maxima of a window share the gradient",
        computes=_routed(_split),
        quantities="grad_",
    ),
    Explanation(
        "overlap-overwritten",
        "where windows overlap, the last window's gradient overwrites what should be added up",
        computes=_overwritten(1),
        quantities="grad_",
    ),
    Explanation(
        "overlap-overwritten",
        "where windows overlap, the last window's gradient, if it is not 0, overwrites what should be added up",
        computes=_overwritten(1, zeros=False),
        quantities="grad_",
    ),
    Explanation(
        "first-window-only",
        "where windows overlap, only the gradient of the first window that has one counts",
        computes=_overwritten(-1, zeros=False),
        quantities="grad_",
    ),
    Explanation(
        "first-window-only",
        "where windows overlap, only the first window's gradient counts",
        computes=_overwritten(-1),
        quantities="grad_",
    ),
    Explanation(
        "window-gradient-averaged",
        "it is spread evenly over the window, as of an average",
        computes=_routed(lambda values: np.full_like(values, 1 / values.shape[-1])),
        quantities="grad_",
    ),
    Explanation(
        "window-gradient-to-all",
        "every entry of a window takes the whole gradient: the mask of the maximum is missing",
        computes=_routed(np.ones_like),
        quantities="grad_",
    ),
    Explanation(
        "first-position-takes-all",
        "the first entry of a window takes the gradient, whatever the maximum is",
        computes=_routed(_first_position),
        quantities="grad_",
    ),
    Explanation(
        "divided-by-window",
        "it is divided by the number of taps kh·kw",
        makes=scaled(lambda q: 1 / int(np.prod(Geometry.of(q).kernel))),
    ),
    Explanation(
        "multiplies-by-input",
        "the gradient is multiplied by the maximum itself",
        computes=_routed(lambda values: first_maximum(values) * np.where(np.isinf(values), 0, values)),
        quantities="grad_",
    ),
    Explanation(
        "nan-swallowed",
        "NaN is ignored, where it should spread",
        computes=_reduced(_nan_ignored),
        quantities="output",
    ),
    Explanation(
        "first-nan",
        "of several NaN in a window the first takes the gradient; torch gives it to the last",
        computes=_routed(first_maximum),
        quantities="grad_",
    ),
    Explanation(
        "nan-swallowed",
        "NaN is ignored when the maximum is looked for",
        computes=_routed(lambda values: first_maximum(np.where(np.isnan(values), -np.inf, values))),
        quantities="grad_",
    ),
)
