"""Dense layers and flattening with one mistake."""

import math
from functools import partial
from typing import Any

import numpy as np

from numpy_cnn.arguments import Array
from parity.exam import stateful
from parity.exam.bug import plant
from parity.exam.call import Call, Change, kept, zeroed
from parity.exam.changes import array, both, gradient, in_dtype, only, option, options, output, result, upstream

linear, flatten = partial(plant, "linear"), partial(plant, "flatten")


def _rows(a: Array) -> Array:
    return a.reshape(math.prod(a.shape[:-1]), a.shape[-1])


def _of_rows(rows: slice) -> Change:
    """Count only these rows of the batch, over all leading axes."""
    return upstream(lambda dy, _: kept(_rows(dy), rows).reshape(dy.shape))


def _end_excluded(given: Any, c: Call) -> Any:
    rank = max(c.x.ndim, 1)
    start, end = given["start_dim"] % rank, given["end_dim"] % rank
    return {"start_dim": start, "end_dim": max(start, end - 1)}


def _in_fortran_order(dy: Array, c: Call) -> Array:
    return dy.reshape(c.x.shape, order="F")


# fmt: off
linear("linear-bias-missing", "bias-missing", array("b", lambda *_: None), "y")
linear("linear-bias-doubled", "bias-doubled", array("b", lambda b, _: 2 * b), "y",
       "The bias is added twice.")
linear("linear-db-averaged", "rows-mean batch-mean",
       result(lambda g, c: g / g.dtype.type(max(1, math.prod(c.x.shape[:-1])))), "db",
       "db is the mean over the samples.")
linear("linear-db-first-sample-only", "first-row-only", _of_rows(slice(1)), "db")
linear("linear-db-of-one-row", "shares-memory",
       only(lambda c: c.x.shape[:-1] == (1,), gradient(lambda dy, _: dy[0])), "db",
       "For a single row, db is a view of dy.")
linear("linear-dw-doubled", "doubled", result(lambda g, _: 2 * g), "dw",
       "dw has an extra factor 2.")
linear("linear-dw-transposed", "channels-transposed", result(lambda g, _: g.T.copy()), "dw",
       "dw has the shape (in, out).")
linear("linear-dw-last-sample-only", "last-row-only last-sample-only", _of_rows(slice(-1, None)), "dw",
       "dw is assigned for each sample instead of added.")
linear("linear-dw-first-leading-axis-only", "",
       upstream(lambda dy, _: kept(dy, *[slice(1)] * (dy.ndim - 2))), "dw",
       "With several leading axes, dw uses only the first entry of all but the last of them.")
linear("linear-dx-weight-transposed", "weight-transposed argument-transposed",
       only(lambda c: c.w.shape[0] == c.w.shape[1], array("w", lambda w, _: w.T)), "dx",
       "In a square layer, dx uses the transposed weight.")
linear("linear-last-feature-lost", "last-feature-lost", array("w", zeroed(..., -1)), "y")
linear("linear-bias-along-rows", "bias-along-other-axis",
       output(lambda c: c.y - c.b + c.b[:, None] if c.b is not None and c.y.ndim == 2 and len(c.y) == len(c.b)
              else c.y), "y")
linear("linear-single-feature-squeezed", "axes-of-one-dropped",
       only(lambda c: len(c.w) == 1, output(lambda c: c.y[..., 0])), "y",
       "A single output feature is squeezed away.")
linear("linear-float16-inside", "float16-inside", in_dtype(np.float16))
linear("linear-upstream-changed", "mutates-upstream", stateful.overwriting_upstream(lambda dy, _: dy / 2),
       description="The pullback divides the caller's dy by 2 in place.")
linear("linear-input-shared", "shared-state", stateful.of_last_call(), "dw",
       "The input is kept at module level: dw is that of the last call.")

flatten("flatten-order-f", "reshaped-f order-f",
        both(output(lambda c: c.x.reshape(c.y.shape, order="F")), gradient(_in_fortran_order)),
        description="The pixels are flattened column by column.")
flatten("flatten-negative-start-is-zero", "option-negative-is-zero",
        option("start_dim", lambda start: max(start, 0)), "y", option="start_dim")
flatten("flatten-dx-order-f", "reshaped-f order-f", gradient(_in_fortran_order), "dx")
flatten("flatten-keeps-the-first-axis", "flattens-all-but-first start-dim-one",
        only(lambda c: c.x.ndim > 1, options(lambda *_: {"start_dim": 1, "end_dim": -1})))
flatten("flatten-end-excluded", "end-dim-excluded", options(_end_excluded))
flatten("flatten-dx-reversed", "reversed result-flipped", result(lambda g, _: np.flip(g)), "dx")
flatten("flatten-width-first", "spatial-axes-swapped order-f reshaped-f",
        only(lambda c: c.x.ndim > 1 and c.x.shape[-1] == c.x.shape[-2],
             both(output(lambda c: c.x.swapaxes(-1, -2).reshape(c.y.shape)),
                  gradient(lambda dy, c: dy.reshape(c.x.shape).swapaxes(-1, -2)))),
        description="Square images are flattened with height and width swapped, in the gradient too.")
# fmt: on
