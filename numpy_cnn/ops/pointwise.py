"""Losses that compare each prediction with its target: what they share."""

from collections.abc import Callable

import numpy as np

from numpy_cnn.arguments import Array, Pullback, check_floats, cotangent
from numpy_cnn.ops.reduction import Reduction, check_reduction, reduced


def pointwise(
    op: str,
    x: Array,
    target: Array,
    reduction: Reduction | str,
    loss: Callable[[Array, Array], Array],
    slopes: Callable[[Array, Array], tuple[Array, Array]],
    total: int | None = None,
) -> tuple[Array, Pullback]:
    """loss(x, t) reduced, and its pullback from slopes(x, t) = (∂loss/∂x, ∂loss/∂t).

    A mean divides by `total`, or by the number of elements.
    """
    check_floats(op, input=x, target=target)
    check_reduction(op, reduction)
    if x.shape != target.shape:
        raise ValueError(f"{op}: input and target must have the same shape, got {x.shape} and {target.shape}")
    # At least one axis, because NumPy's arithmetic turns arrays without axes into scalars.
    flat, flat_target = np.atleast_1d(x), np.atleast_1d(target)
    divisor = x.dtype.type(x.size if total is None else total)
    with np.errstate(all="ignore"):  # ∞ − ∞, and 0/0 in the mean of no numbers, are NaN by the formula
        losses = np.asarray(loss(flat, flat_target), dtype=x.dtype)
        y = reduced(losses.reshape(x.shape), reduction, divisor)  # type: ignore[arg-type]  # checked above

    def pullback(dy: Array) -> tuple[Array, Array]:
        u = cotangent(op, dy, y)
        with np.errstate(all="ignore"):
            u = np.asarray(u / divisor if reduction == "mean" else u).reshape(-1 if u.ndim == 0 else u.shape)
            dx, dt = (np.asarray(slope * u, dtype=x.dtype) for slope in slopes(flat, flat_target))
        return dx.reshape(x.shape), dt.reshape(x.shape)

    return y, pullback


def of_difference(
    op: str,
    x: Array,
    target: Array,
    reduction: Reduction,
    loss: Callable[[Array], Array],
    slope: Callable[[Array], Array],
) -> tuple[Array, Pullback]:
    """A loss that depends on d = x − t alone, so that dt = −dx."""

    def slopes(x: Array, t: Array) -> tuple[Array, Array]:
        of_x = slope(x - t)
        return of_x, -of_x

    return pointwise(op, x, target, reduction, lambda x, t: loss(x - t), slopes)
