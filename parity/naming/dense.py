"""What goes wrong in linear and in flatten: the order of axes, the bias, a sum over the batch."""

from collections.abc import Callable

import numpy as np

from parity.cases.torch_op import Array
from parity.naming.explanation import Explanation, NoAnswer, Question
from parity.naming.general import BIAS, scaled


def _transposed(question: Question) -> Question:
    return question.with_arrays(weight=np.ascontiguousarray(question.array("weight").T))


def _turned_back(answer: Array, question: Question) -> Array:
    return answer.T if question.quantity == "grad_weight" else answer


def _rows(question: Question) -> int:
    return int(np.prod(question.dy.shape[:-1]))


def _summed_over_first_axis(question: Question) -> Array:
    return np.asarray(question.dy.sum(axis=0))


def _only_row(place: int) -> Callable[[Question], Question]:
    """The upstream gradient of one row of all leading axes."""

    def asks(question: Question) -> Question:
        kept = np.zeros_like(question.dy)
        kept.reshape(-1, kept.shape[-1])[place] = question.dy.reshape(-1, kept.shape[-1])[place]
        return question.with_upstream(kept)

    return asks


LINEAR = (
    Explanation("channels-transposed", "the weight is transposed", _transposed, _turned_back),
    Explanation(
        "channels-transposed",
        "its axes are swapped: (inputs, outputs), where the weight is (outputs, inputs)",
        makes=lambda answer, _: answer.T,
        quantities="grad_weight",
    ),
    *BIAS,
    Explanation(
        "batch-mean",
        "it is divided by the number of rows, over all leading axes: a mean where there is a sum",
        makes=scaled(lambda q: 1 / _rows(q)),
        quantities="grad_",
        convention=True,
    ),
    Explanation("first-sample-only", "only the first row of the batch counts", _only_row(0), quantities="grad_"),
    Explanation("last-sample-only", "only the last row of the batch counts", _only_row(-1), quantities="grad_"),
    Explanation(
        "first-axis-only",
        "it is summed over the first axis alone, not over all leading ones",
        computes=_summed_over_first_axis,
        quantities="grad_bias",
    ),
    Explanation(
        "axis-kept",
        "the summed axis is kept: its shape is (1, outputs)",
        makes=lambda answer, _: answer[None],
        quantities="grad_bias",
    ),
    Explanation(
        "last-feature-lost",
        "the last input feature is left out of the sum",
        lambda question: question.with_arrays(
            weight=np.concatenate([question.array("weight")[:, :-1], 0 * question.array("weight")[:, -1:]], axis=1)
        ),
        lambda answer, question: (
            np.concatenate([answer[:, :-1], 0 * answer[:, -1:]], axis=1)
            if question.quantity == "grad_weight"
            else answer
        ),
    ),
)


def _span(question: Question) -> tuple[int, int]:
    """The first and the last axis that are joined."""
    rank = max(question.first.ndim, 1)
    return question.options["start_dim"] % rank, question.options["end_dim"] % rank


def _second(question: Question) -> int:
    return min(1, max(question.first.ndim, 1) - 1)


def _in_fortran_order(answer: Array, question: Question) -> Array:
    """Read or written with the first of the joined axes fastest."""
    start, end = _span(question)
    shape = question.first.shape
    joined = shape[start : end + 1]
    if not joined:
        raise NoAnswer("nothing is joined")
    order = [*range(start), *range(end, start - 1, -1), *range(end + 1, len(shape))]
    if question.about_output:
        return question.first.transpose(order).reshape(answer.shape)
    turned = question.dy.reshape([shape[axis] for axis in order])
    return turned.transpose(np.argsort(order))


def _fortran_reshape(answer: Array, question: Question) -> Array:
    array = question.first if question.about_output else question.dy
    return array.reshape(answer.shape, order="F")


FLATTEN = (
    Explanation(
        "order-f", "the joined axes are read with the first one fastest (Fortran's order)", makes=_in_fortran_order
    ),
    Explanation("order-f", "the numbers are taken in Fortran's order", makes=_fortran_reshape),
    Explanation(
        "wrong-dim",
        "start_dim and end_dim are ignored: all axes are joined",
        lambda question: question.with_options(start_dim=0, end_dim=-1),
        quantities="output",
    ),
    Explanation(
        "wrong-dim",
        "start_dim is ignored: axes are joined from the first on",
        lambda question: question.with_options(start_dim=0),
        quantities="output",
    ),
    Explanation(
        "wrong-dim",
        "start_dim is taken for 1",
        lambda question: question.with_options(start_dim=_second(question)),
        quantities="output",
    ),
    Explanation(
        "wrong-dim",
        "end_dim is ignored: axes are joined up to the last",
        lambda question: question.with_options(end_dim=-1),
        quantities="output",
    ),
    Explanation(
        "wrong-dim",
        "all axes but the first are joined, whatever the options say",
        lambda question: question.with_options(start_dim=_second(question), end_dim=-1),
        quantities="output",
    ),
    Explanation(
        "wrong-dim",
        "end_dim is left out, where it belongs to the joined axes",
        lambda question: question.with_options(end_dim=max(_span(question)[0], _span(question)[1] - 1)),
        quantities="output",
    ),
    Explanation(
        "reversed",
        "the numbers come out in the reverse order",
        makes=lambda answer, _: answer.ravel()[::-1].reshape(answer.shape),
    ),
)
