"""What goes wrong in a convolution: the kernel turned, an option taken for another, a tap or a group left out.

The gradients are computed here from their sums, tap by tap, for a mistake in one of them belongs to no convolution
that the oracle could be asked for.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from parity.cases.torch_op import Array
from parity.naming.explanation import Computes, Explanation, NoAnswer, Question
from parity.naming.general import BIAS, scaled
from parity.naming.windows import Canvas, Geometry, Pair, covered

Alters = Callable[[Geometry], Geometry]


def input_gradient(question: Question, geometry: Geometry, overwrite: bool = False) -> Array:
    """dx[n,c] += w[o,c,i,j]·dy[n,o] at the pixels of each tap; with `overwrite`, = instead of +=."""
    x, w, groups = question.first, question.array("weight"), question.options["groups"]
    dy = question.dy.reshape(len(x), groups, -1, *question.dy.shape[2:])
    kernels = w.reshape(groups, -1, *w.shape[1:])
    canvas = Canvas(x.shape, geometry, dy.shape[3:])
    for i, j in geometry.taps():
        part = np.einsum("ngopq,goc->ngcpq", dy, kernels[..., i, j]).reshape(len(x), x.shape[1], *dy.shape[3:])
        place = canvas.place(i, j)
        canvas.array[place] = part if overwrite else canvas.array[place] + part
    return canvas.image


def overwritten_by_windows(question: Question, geometry: Geometry) -> Array:
    """The same window after window: where windows overlap, the last one's gradient stays alone."""
    x, w, groups = question.first, question.array("weight"), question.options["groups"]
    dy = question.dy.reshape(len(x), groups, -1, *question.dy.shape[2:])
    kernels = w.reshape(groups, -1, *w.shape[1:])
    canvas = Canvas(x.shape, geometry, dy.shape[3:])
    for p, q in product(range(dy.shape[3]), range(dy.shape[4])):
        part = np.einsum("ngo,gocij->ngcij", dy[..., p, q], kernels)
        canvas.array[canvas.window(p, q)] = part.reshape(len(x), x.shape[1], *w.shape[2:])
    return canvas.image


def weight_gradient(question: Question, geometry: Geometry) -> Array:
    """dw[o,c,i,j] = Σ dy[n,o,p,q]·x[n,c, pixels of the tap]."""
    x, w, groups = question.first, question.array("weight"), question.options["groups"]
    dy = question.dy.reshape(len(x), groups, -1, *question.dy.shape[2:])
    canvas = Canvas(x.shape, geometry, dy.shape[3:])
    canvas.image[...] = x
    dw = np.zeros_like(w)
    for i, j in geometry.taps():
        seen = canvas.array[canvas.place(i, j)].reshape(len(x), groups, -1, *dy.shape[3:])
        dw[..., i, j] = np.einsum("ngopq,ngcpq->goc", dy, seen).reshape(w.shape[:2])
    return dw


def _gradient_with(alters: Alters) -> Computes:
    def computes(question: Question) -> Array:
        geometry = alters(Geometry.of(question))
        if question.quantity == "grad_input":
            return input_gradient(question, geometry)
        if question.quantity == "grad_weight":
            return weight_gradient(question, geometry)
        raise NoAnswer("the geometry has no part in it")

    return computes


def _options() -> Iterator[Explanation]:
    """Stride, padding and dilation: ignored, swapped, or one axis' number for both."""
    for name, plain in (("stride", 1), ("padding", 0), ("dilation", 1)):
        for kind, sentence, change in (
            ("ignored", f"the {name} is ignored", lambda _, plain=plain: (plain, plain)),
            ("swapped", f"the {name} of height and width are swapped", lambda v: v[::-1]),
            ("height-only", f"the height's {name} is used for both axes", lambda v: (v[0], v[0])),
            ("width-only", f"the width's {name} is used for both axes", lambda v: (v[1], v[1])),
        ):

            def alters(g: Geometry, name: str = name, change: Callable[[Pair], Pair] = change) -> Geometry:
                return replace(g, **{name: change(getattr(g, name))})

            def asks(question: Question, name: str = name, alters: Alters = alters) -> Question:
                if isinstance(question.options[name], str):  # "same" and "valid" have no height and width
                    return question
                return question.with_options(**{name: getattr(alters(Geometry.of(question)), name)})

            yield Explanation(f"{name}-{kind}", sentence, asks, quantities="output")
            yield Explanation(f"{name}-{kind}", sentence, computes=_gradient_with(alters), quantities="grad_")


def _kernel(turn: Callable[[Array], Array]) -> dict[str, Any]:
    """The kernel turned, and its gradient turned likewise."""

    def asks(question: Question) -> Question:
        return question.with_arrays(weight=np.ascontiguousarray(turn(question.array("weight"))))

    def makes(answer: Array, question: Question) -> Array:
        return turn(answer) if question.quantity == "grad_weight" else answer

    return {"asks": asks, "makes": makes}


def _without(part: Any) -> dict[str, Any]:
    """Taps that are 0, and so is their gradient."""

    def turn(w: Array) -> Array:
        w = w.copy()
        w[part] = 0
        return w

    return _kernel(turn)


def _by_channel(order: Callable[[int, int], Array]) -> dict[str, Any]:
    """The input's channels in another order, their gradient likewise."""

    def asks(question: Question) -> Question:
        x, groups = question.first, question.options["groups"]
        return question.with_arrays(input=np.ascontiguousarray(x[:, order(x.shape[1], groups)]))

    def makes(answer: Array, question: Question) -> Array:
        if question.quantity != "grad_input":
            return answer
        found = np.zeros_like(answer)
        np.add.at(found.swapaxes(0, 1), order(answer.shape[1], question.options["groups"]), answer.swapaxes(0, 1))
        return found

    return {"asks": asks, "makes": makes}


def _by_kernel(order: Callable[[int, int], Array]) -> dict[str, Any]:
    """The kernels' groups in another order: output o is computed by the kernel that stands elsewhere."""

    def of(question: Question) -> Array:
        return order(len(question.array("weight")), question.options["groups"])

    def asks(question: Question) -> Question:
        w = question.array("weight")
        return question.with_arrays(weight=np.ascontiguousarray(w[of(question)]))

    def makes(answer: Array, question: Question) -> Array:
        if question.quantity != "grad_weight":
            return answer
        found = np.zeros_like(answer)
        np.add.at(found, of(question), answer)
        return found

    return {"asks": asks, "makes": makes}


def _outputs_of_other_groups(question: Question) -> Question:
    """Kernel o works in group o mod G."""
    w, bias, order = question.array("weight"), question.arrays["bias"], _kernels_in_order(question)
    question = question.with_arrays(
        weight=np.ascontiguousarray(w[order]), bias=None if bias is None else bias[order]
    )
    return question if question.about_output else question.with_upstream(question.dy[:, order])


def _outputs_back(answer: Array, question: Question) -> Array:
    there = np.argsort(_kernels_in_order(question))
    if question.about_output:
        return answer[:, there]
    return answer if question.quantity == "grad_input" else answer[there]


def _kernels_in_order(question: Question) -> Array:
    return interleaved(len(question.array("weight")), question.options["groups"])


def _summed_over_groups(answer: Array, question: Question) -> Array:
    each = answer.reshape(question.options["groups"], -1, *answer.shape[1:])
    return np.broadcast_to(each.sum(axis=0), each.shape).reshape(answer.shape)


def _outputs_permuted(answer: Array, question: Question) -> Array:
    return answer[:, _kernels_in_order(question)]


def _outputs_taking_turns(answer: Array, question: Question) -> Array:
    return answer[:, np.argsort(_kernels_in_order(question))]


def _not_transposed(question: Question) -> Question:
    """The kernels of a group (outputs, channels) read as (channels, outputs), number for number."""
    w, groups = question.array("weight"), question.options["groups"]
    misread = w.reshape(groups, w.shape[1], len(w) // groups, *w.shape[2:]).swapaxes(1, 2).reshape(w.shape)
    return question.with_arrays(weight=np.ascontiguousarray(misread))


def _with_taps(turn: Callable[[Array], Array]) -> Callable[[Question], Question]:
    return lambda question: question.with_arrays(weight=np.ascontiguousarray(turn(question.array("weight"))))


def _same_in_front(question: Question) -> Question:
    g = Geometry.of(question)
    around = (0, 0), (0, 0), (g.behind[0], g.padding[0]), (g.behind[1], g.padding[1])
    return question.with_arrays(input=np.pad(question.first, around)).with_options(padding=0)


def _column_major(w: Array) -> Array:
    """The taps, stored row by row, read column by column."""
    rows, columns = w.shape[2:]
    return w.reshape(*w.shape[:2], columns, rows).swapaxes(2, 3)


def _row_major(w: Array) -> Array:
    """The inverse."""
    return w.swapaxes(2, 3).reshape(w.shape)


def interleaved(size: int, groups: int) -> Array:
    """Member m of group g stands at m·G + g."""
    return np.arange(size).reshape(-1, groups).T.ravel()


def _first_group(size: int, groups: int) -> Array:
    return np.tile(np.arange(size // groups), groups)


def _last_group(size: int, groups: int) -> Array:
    return np.tile(np.arange(size - size // groups, size), groups)


def _reversed_groups(size: int, groups: int) -> Array:
    return np.arange(size).reshape(groups, -1)[::-1].ravel()


def _repadded(mode: str) -> Callable[[Question], Question]:
    """The image padded by something else than zeros beforehand."""

    def asks(question: Question) -> Question:
        if not question.about_output and question.quantity != "grad_weight":
            raise NoAnswer("the padding's own gradient would have to be added up")
        padded = np.pad(question.first, Geometry.of(question).frame, mode=mode)  # type: ignore[call-overload]
        return question.with_arrays(input=padded).with_options(padding=0)

    return asks


def _padded_by_one(question: Question) -> Question:
    padded = np.pad(question.first, Geometry.of(question).frame, constant_values=1)
    return question.with_arrays(input=padded).with_options(padding=0)


def _cropped(first: bool) -> Computes:
    """The gradient of the padded image, cut at a wrong end, or not at all."""

    def computes(question: Question) -> Array:
        g, (height, width) = Geometry.of(question), question.first.shape[2:]
        wide = question.with_arrays(input=np.pad(question.first, g.frame))
        full = input_gradient(wide, replace(g, padding=(0, 0)))
        return full[:, :, :height, :width] if first else full

    return computes


def _bias_of_one_position(place: int) -> Computes:
    def computes(question: Question) -> Array:
        return np.asarray(question.dy[:, :, place, place].sum(axis=0))

    return computes


TURNS = (
    ("kernel-flipped", "the kernel is flipped along both axes (turned by 180°)", lambda w: w[..., ::-1, ::-1]),
    ("kernel-flipped-height", "the kernel is flipped upside down", lambda w: w[..., ::-1, :]),
    ("kernel-flipped-width", "the kernel is flipped from left to right", lambda w: w[..., ::-1]),
    ("kernel-transposed", "the kernel's height and width are swapped", lambda w: w.swapaxes(-1, -2)),
    (
        "channels-transposed",
        "the kernel's first two axes (outputs and inputs) are swapped",
        lambda w: w.swapaxes(0, 1),
    ),
)

ORDERS = (
    ("groups-interleaved", "the groups are taken from every G-th {}, not from neighbouring ones", interleaved),
    ("first-group-only", "every group uses the {}s of the first group", _first_group),
    ("last-group-only", "every group uses the {}s of the last group", _last_group),
    ("groups-reversed", "the groups' {}s are taken in the reverse order", _reversed_groups),
)

CONVOLUTION = (
    *(Explanation(name, sentence, **_kernel(turn)) for name, sentence, turn in TURNS),
    Explanation(
        "kernel-transposed",
        "the kernel's taps are counted column by column, where they are stored row by row",
        _with_taps(_column_major),
        lambda answer, question: _row_major(answer) if question.quantity == "grad_weight" else answer,
    ),
    Explanation(
        "kernel-transposed",
        "the kernel's taps, which are stored row by row, are taken in the order of its columns",
        _with_taps(_row_major),
        lambda answer, question: _column_major(answer) if question.quantity == "grad_weight" else answer,
    ),
    Explanation(
        "padding-ignored",
        "the padding is ignored, 'same' too",
        lambda question: question.with_options(padding=0),
        quantities="output",
    ),
    Explanation(
        "same-pads-in-front",
        "of an odd number of zeros 'same' puts the larger half in front, where torch puts it behind",
        _same_in_front,
        quantities="output",
    ),
    Explanation(
        "same-pads-in-front",
        "of an odd number of zeros 'same' puts the larger half in front, where torch puts it behind",
        computes=_gradient_with(lambda g: replace(g, padding=g.behind)),
        quantities="grad_",
    ),
    Explanation(
        "channels-transposed",
        "the kernel's outputs and inputs are read in the other order, without being transposed",
        _not_transposed,
        quantities="grad_input",
    ),
    *_options(),
    Explanation(
        "groups-interleaved",
        "kernel o belongs to group o mod G, where it should be one of neighbouring kernels",
        _outputs_of_other_groups,
        _outputs_back,
    ),
    Explanation(
        "summed-over-groups",
        "the groups' gradients are added up, and every group gets the sum",
        makes=_summed_over_groups,
        quantities="grad_weight",
    ),
    Explanation(
        "groups-interleaved",
        "the output channels stand in another order: the groups take turns",
        makes=_outputs_permuted,
        quantities="output",
    ),
    Explanation(
        "groups-interleaved",
        "the output channels stand in another order: each group's first, then each group's second, and so on",
        makes=_outputs_taking_turns,
        quantities="output",
    ),
    *(
        Explanation(name, sentence.format(what), **by(order))
        for name, sentence, order in ORDERS
        for what, by in (("channel", _by_channel), ("kernel", _by_kernel))
    ),
    *BIAS,
    Explanation(
        "overlap-overwritten",
        "where windows overlap, a later tap overwrites what should be added up",
        computes=lambda question: input_gradient(question, Geometry.of(question), overwrite=True),
        quantities="grad_input",
    ),
    Explanation(
        "overlap-overwritten",
        "where windows overlap, the last window's gradient overwrites what should be added up",
        computes=lambda question: overwritten_by_windows(question, Geometry.of(question)),
        quantities="grad_input",
    ),
    Explanation(
        "padding-not-cropped",
        "the gradient of the padded image is cut at its first rows and columns, where the padding stands",
        computes=_cropped(first=True),
        quantities="grad_input",
    ),
    Explanation(
        "padding-not-cropped",
        "it is the gradient of the padded image: the padding is not cut off",
        computes=_cropped(first=False),
        quantities="grad_input",
    ),
    Explanation(
        "remainder-dropped",
        "it ends with the last window: rows and columns that the stride leaves over are missing",
        makes=covered,
        quantities="grad_input",
    ),
    Explanation("replicate-padding", "the padding repeats the image's edge instead of zeros", _repadded("edge")),
    Explanation("reflect-padding", "the padding reflects the image instead of zeros", _repadded("reflect")),
    Explanation("wrap-padding", "the padding wraps around to the other side of the image", _repadded("wrap")),
    Explanation("one-padding", "the padding holds ones instead of zeros", _padded_by_one, quantities="output"),
    *(
        Explanation(name, sentence, **_without(part))
        for name, sentence, part in (
            ("last-tap-lost", "the kernel's last tap is left out", (..., -1, -1)),
            ("first-tap-lost", "the kernel's first tap is left out", (..., 0, 0)),
            ("last-tap-row-lost", "the kernel's last row is left out", (..., -1, slice(None))),
            ("first-tap-row-lost", "the kernel's first row is left out", (..., 0, slice(None))),
            ("last-tap-column-lost", "the kernel's last column is left out", (..., slice(None), -1)),
            ("first-tap-column-lost", "the kernel's first column is left out", (..., slice(None), 0)),
            ("last-channel-lost", "the last channel of a group is left out of the sum", (slice(None), -1)),
            ("first-channel-lost", "the first channel of a group is left out of the sum", (slice(None), 0)),
            ("last-kernel-lost", "the last kernel is left out", (-1,)),
        )
    ),
    Explanation(
        "divided-by-positions",
        "it is divided by the number of output positions oh·ow: a mean where there is a sum",
        makes=scaled(lambda q: 1 / int(np.prod(q.dy.shape[2:]))),
        quantities="grad_",
    ),
    Explanation(
        "divided-by-outputs",
        "it is divided by N·oh·ow: a mean where there is a sum",
        makes=scaled(lambda q: 1 / (len(q.dy) * int(np.prod(q.dy.shape[2:])))),
        quantities="grad_",
    ),
    Explanation(
        "divided-by-window",
        "it is divided by the number of taps kh·kw",
        makes=scaled(lambda q: 1 / int(np.prod(q.array("weight").shape[2:]))),
    ),
    Explanation(
        "first-position-only",
        "the upstream gradient is not summed over the positions: only the first one counts",
        computes=_bias_of_one_position(0),
        quantities="grad_bias",
    ),
    Explanation(
        "last-position-only",
        "the upstream gradient is not summed over the positions: only the last one counts",
        computes=_bias_of_one_position(-1),
        quantities="grad_bias",
    ),
)
