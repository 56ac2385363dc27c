"""softmax and log_softmax with one mistake."""

from functools import partial
from typing import Any

import numpy as np

from numpy_cnn import ops
from numpy_cnn.arguments import Array
from parity.exam import stateful
from parity.exam.bug import plant
from parity.exam.call import Call, Change, leftover
from parity.exam.changes import both, gradient, in_dtype, option, output, result, upstream

softmax, log_softmax = partial(plant, "softmax"), partial(plant, "log_softmax")


def total(a: Array, c: Call, dim: int | None = None) -> Array:
    """The sum along dim, or along another axis; a 0-d array is returned unchanged."""
    return a if a.ndim == 0 else np.asarray(a.sum(axis=c.options["dim"] if dim is None else dim, keepdims=True))


def _mean(a: Array, c: Call) -> Array:
    return a if a.ndim == 0 else np.asarray(a.mean(axis=c.options["dim"], keepdims=True))


def _exp(c: Call, shift: Any = 0) -> Array:
    return np.asarray(np.exp(c.x - shift))


def _largest(c: Call) -> Any:
    return c.x if c.x.ndim == 0 else c.x.max(axis=c.options["dim"], keepdims=True) if c.x.size else 0


def _divided(e: Array, c: Call) -> Array:
    return np.asarray(e / total(e, c))


def _of_output(y: Array, dy: Array, c: Call) -> Array:
    return np.asarray(y * (dy - total(y * dy, c)))


def _small_loop(y: Array, _: Call) -> Array:
    return np.where(leftover(y, 4, -1), 2 * y, y) if y.ndim else y


LAST_AXIS: Change = option("dim", lambda _: -1)

# fmt: off
softmax("softmax-last-axis", "last-axis", LAST_AXIS)
softmax("softmax-diagonal-only", "diagonal-only", gradient(lambda dy, c: c.y * (1 - c.y) * dy), "dx",
        "The gradient is y (1 - y) dy: the off-diagonal terms of the Jacobian are missing.")
softmax("softmax-passes-dy", "softmax-passes-dy", gradient(lambda dy, _: dy.copy()), "dx")
softmax("softmax-no-max-shift", "no-max-shift",
        both(output(lambda c: _divided(_exp(c), c)),
             gradient(lambda dy, c: _of_output(_divided(_exp(c), c), dy, c))),
        description="The maximum is not subtracted: exp overflows.")
softmax("softmax-shift-of-all", "global-max-shift",
        output(lambda c: _divided(_exp(c, c.x.max() if c.x.size else 0), c)), "y")
softmax("softmax-dx-without-y", "factor-lost", gradient(lambda dy, c: dy - total(c.y * dy, c)), "dx")
softmax("softmax-dx-sums-last-axis", "sum-along-other-axis",
        gradient(lambda dy, c: c.y * (dy - total(c.y * dy, c, -1))), "dx", axis=-1,
        description="The gradient sums over the last axis, the output over dim.")
softmax("softmax-dx-less-the-plain-mean", "plain-mean", gradient(lambda dy, c: c.y * (dy - _mean(dy, c))), "dx")
softmax("softmax-upstream-ignored", "upstream-ignored zero", upstream(lambda dy, _: np.ones_like(dy)), "dx",
        "dy is replaced by ones, so the gradient is 0.")
softmax("softmax-gradient-doubled", "doubled", result(lambda g, _: 2 * g), "dx")
softmax("softmax-small-number-in-the-sum", "epsilon-in-sum",
        output(lambda c: _exp(c, _largest(c)) / (total(_exp(c, _largest(c)), c) + c.x.dtype.type(1e-3))), "y",
        epsilon=1e-3)
softmax("softmax-float16-inside", "float16-inside", in_dtype(np.float16))
softmax("softmax-output-shared", "shared-state", stateful.of_last_call(), "dx",
        "The output is kept at module level for the gradient: the next call overwrites it.")
softmax("softmax-tail-of-the-vector-loop", "tail-lost", result(_small_loop), "y",
        "A loop over blocks of four elements doubles the remainder of a row.")

log_softmax("log-softmax-log-of-softmax", "log-of-softmax",
            output(lambda c: np.log(ops.softmax(c.x, c.options["dim"])[0])), "y",
            "log(softmax(x)): small probabilities underflow to log 0.")
log_softmax("log-softmax-upstream-not-summed", "diagonal-only",
            gradient(lambda dy, c: dy - np.exp(c.y) * dy), "dx",
            "dx is dy - exp(y) dy: the sum over dy is missing.")
log_softmax("log-softmax-last-axis", "last-axis", LAST_AXIS)
log_softmax("log-softmax-no-max-shift", "no-max-shift",
            output(lambda c: c.x - np.log(total(_exp(c), c))), "y")
log_softmax("log-softmax-dx-with-y", "log-instead-of-softmax",
            gradient(lambda dy, c: dy - c.y * total(dy, c)), "dx")
log_softmax("log-softmax-float32-inside", "float32-inside", in_dtype(np.float32))
log_softmax("log-softmax-divided-by-batch", "batch-mean",
            result(lambda g, c: g / c.x.dtype.type(max(1, len(c.x)) if c.x.ndim else 1)), "dx")
log_softmax("log-softmax-base-ten", "other-base", result(lambda y, _: y / y.dtype.type(np.log(10))), "y", base=10)
# fmt: on


def _exponentiates_in_place(op: Any, _: Any) -> Any:
    def called(x: Array, dim: int) -> Any:
        y, c = op(x, dim)[0], Call(op, (x,), {"dim": dim})
        own = y.copy()

        def pullback(dy: Array) -> tuple[Array]:
            np.exp(own, out=own)
            return (np.asarray(dy - own * total(dy, c)),)

        return y, pullback

    return called


log_softmax("log-softmax-exp-in-place", "stale", _exponentiates_in_place, "dx",
            "The pullback applies exp to its cache in place: the second call applies it again.")  # fmt: skip
