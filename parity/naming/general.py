"""Mistakes that any op can have: a sign, a factor, the upstream gradient, a part of the sum that is lost."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from parity.cases.torch_op import Array
from parity.naming.explanation import Explanation, NoAnswer, Question

GRADIENT = "grad_"


def scaled(factor: Callable[[Question], float]) -> Callable[[Array, Question], Array]:
    """The answer times a factor, in its own precision."""
    return lambda answer, question: answer * answer.dtype.type(factor(question))


def samples(question: Question) -> int:
    """N, the size of the first axis."""
    return len(question.first) if question.first.ndim else 1


def positions(question: Question) -> int:
    """Entries of the output for one sample and channel: oh·ow of an image."""
    return int(np.prod(question.dy.shape[2:]))


def _other_gradients() -> Iterator[Explanation]:
    for name in ("input", "weight", "bias", "target"):

        def other(question: Question, name: str = name) -> Array:
            if question.quantity == f"grad_{name}" or question.arrays.get(name) is None:
                raise NoAnswer("it is its own")
            return Question(question.like, question.arrays, question.options, question.dy, f"grad_{name}").answer()

        sentence = f"it is the gradient of the {name}: the gradients are returned in another order"
        yield Explanation("other-gradient", sentence, computes=other, quantities=GRADIENT)


def _filled(value: Callable[[Array], float]) -> Callable[[Question], Question]:
    return lambda question: question.with_upstream(np.full_like(question.dy, value(question.dy)))


def _kept(places: Any) -> Callable[[Question], Question]:
    """The cotangent in these places, 0 elsewhere."""

    def asks(question: Question) -> Question:
        kept = np.zeros_like(question.dy)
        kept[places] = question.dy[places]
        return question.with_upstream(kept)

    return asks


def _lost(
    places: Callable[[Array], Any],
) -> tuple[Callable[[Question], Question], Callable[[Array, Question], Array]]:
    """Zeros where `places` says: in the cotangent for a gradient, in the output itself."""

    def without(array: Array) -> Array:
        array = array.copy()
        array[places(array)] = 0
        return array

    def asks(question: Question) -> Question:
        return question if question.about_output else question.with_upstream(without(question.dy))

    def makes(answer: Array, question: Question) -> Array:
        return without(answer) if question.about_output else answer

    return asks, makes


def _at(axis: int, place: int, least_axes: int) -> Callable[[Array], Any]:
    def places(array: Array) -> Any:
        if array.ndim < least_axes:
            raise NoAnswer("too few axes")
        index: list[Any] = [slice(None)] * array.ndim
        index[axis] = place
        return tuple(index)

    return places


def _losses() -> Iterator[Explanation]:
    for what, axis, place, least in (
        ("first-row-lost", -2, 0, 3),
        ("last-row-lost", -2, -1, 3),
        ("first-column-lost", -1, 0, 3),
        ("last-column-lost", -1, -1, 3),
        ("first-sample-lost", 0, 0, 2),
        ("last-sample-lost", 0, -1, 2),
        ("first-channel-lost", 1, 0, 2),
        ("last-channel-lost", 1, -1, 2),
    ):
        which, thing, _ = what.split("-")
        asks, makes = _lost(_at(axis, place, least))
        kind = f"output {thing}" if thing in ("row", "column", "channel") else thing
        yield Explanation(what, f"the {which} {kind} is left out", asks, makes)
    for which, only in (("first", slice(0, 1)), ("last", slice(-1, None))):
        asks = _kept((only,))
        sentence = f"only the {which} sample counts, where it is a sum over the batch"
        yield Explanation(f"{which}-sample-only", sentence, asks, quantities=GRADIENT)


SIDES = {(1, 0): "down", (-1, 0): "up", (0, 1): "to the right", (0, -1): "to the left"}
SIDES |= {(1, 1): "down and to the right", (-1, -1): "up and to the left"}


def _shifts() -> Iterator[Explanation]:
    for by, where in SIDES.items():
        for wraps in (False, True):

            def makes(answer: Array, question: Question, by: tuple[int, int] = by, wraps: bool = wraps) -> Array:  # noqa: ARG001
                if answer.ndim < 2:
                    raise NoAnswer("there are no rows and columns")
                shifted = np.roll(answer, by, (-2, -1))
                for axis, step in zip((-2, -1), by, strict=True):
                    if step and not wraps:
                        index: list[Any] = [slice(None)] * answer.ndim
                        index[axis] = 0 if step > 0 else -1
                        shifted[tuple(index)] = 0
                return shifted

            around = ", and what is pushed out comes in on the other side" if wraps else ": an index is off by one"
            yield Explanation("result-shifted", f"it is shifted by one pixel {where}{around}", makes=makes)


def _copies() -> Iterator[Explanation]:
    for which, place in (("first", 0), ("last", -1)):

        def makes(answer: Array, question: Question, place: int = place) -> Array:  # noqa: ARG001
            return np.broadcast_to(answer[place], answer.shape)

        yield Explanation(f"{which}-sample-for-all", f"every sample gets the result of the {which}", makes=makes)


def _swapped(first: int, second: int) -> Callable[[Array, Question], Array]:
    def makes(answer: Array, question: Question) -> Array:  # noqa: ARG001
        return answer.swapaxes(first, second)

    return makes


def _flipped(*axes: int) -> Callable[[Array, Question], Array]:
    def makes(answer: Array, question: Question) -> Array:  # noqa: ARG001
        return np.flip(answer, axes)

    return makes


FACTORS = (
    Explanation("negated", "its sign is wrong", makes=scaled(lambda _: -1)),
    Explanation("doubled", "it is twice too large", makes=scaled(lambda _: 2)),
    Explanation("halved", "it is half of what it should be", makes=scaled(lambda _: 0.5)),
    Explanation(
        "batch-mean",
        "it divides by the batch size N where torch does not",
        makes=scaled(lambda q: 1 / samples(q)),
        quantities=GRADIENT,
        convention=True,
    ),
    Explanation("batch-sum", "it is N times too large: the division by N is missing", makes=scaled(samples)),
)

UPSTREAM = (
    Explanation(
        "upstream-ignored",
        "the upstream gradient is ignored: it is what an upstream of ones would give",
        lambda question: question.with_upstream(np.ones_like(question.dy)),
        quantities=GRADIENT,
    ),
    Explanation(
        "upstream-squared",
        "the upstream gradient is multiplied in twice",
        lambda question: question.with_upstream(question.dy**2),
        quantities=GRADIENT,
    ),
    Explanation(
        "upstream-mean",
        "the upstream gradient's mean stands in the place of its entries",
        _filled(np.mean),
        quantities=GRADIENT,
    ),
    Explanation(
        "upstream-sum",
        "the upstream gradient's sum stands in the place of its entries",
        _filled(np.sum),
        quantities=GRADIENT,
    ),
    Explanation(
        "upstream-absolute",
        "the upstream gradient loses its sign",
        lambda question: question.with_upstream(np.abs(question.dy)),
        quantities=GRADIENT,
    ),
    Explanation(
        "passes-upstream",
        "the upstream gradient is handed on unchanged",
        computes=lambda question: question.dy,
        quantities="grad_input",
    ),
)


def _with_bias(factor: float) -> Callable[[Question], Question]:
    def asks(question: Question) -> Question:
        bias = question.arrays["bias"]
        return question if bias is None else question.with_arrays(bias=bias * factor)

    return asks


BIAS = (
    Explanation(
        "bias-missing",
        "the bias is not added",
        lambda question: question.with_arrays(bias=None),
        quantities="output",
    ),
    Explanation("bias-doubled", "the bias is added twice", _with_bias(2), quantities="output"),
    Explanation("bias-negated", "the bias is subtracted", _with_bias(-1), quantities="output"),
)

ZERO = Explanation("zero", "it is 0 everywhere", makes=lambda answer, _: np.zeros_like(answer))

GENERAL = (
    *FACTORS,
    *UPSTREAM,
    ZERO,
    *_other_gradients(),
    Explanation("result-flipped", "it comes out flipped along both image axes", makes=_flipped(-2, -1)),
    Explanation("spatial-axes-swapped", "its last two axes are swapped", makes=_swapped(-2, -1)),
    Explanation("channels-transposed", "its first two axes are swapped", makes=_swapped(0, 1)),
    *_losses(),
    *_shifts(),
    *_copies(),
)
