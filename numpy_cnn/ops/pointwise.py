"""The common part of losses that compare each prediction with its target."""

import warnings
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
    *,
    total: int | None = None,
    broadcast: bool = True,
) -> tuple[Array, Pullback]:
    """loss(x, t) reduced, and its pullback from slopes(x, t) = (∂loss/∂x, ∂loss/∂t).

    A mean divides by `total`, or by the number of elements. Without `broadcast` both shapes must be equal.
    """
    check_floats(op, input=x, target=target)
    check_reduction(op, reduction)
    try:
        shape = np.broadcast_shapes(x.shape, target.shape)
    except ValueError:
        shape = None
    if shape is None or not (broadcast or x.shape == target.shape):
        raise ValueError(f"{op}: input and target must have the same shape, got {x.shape} and {target.shape}")
    # At least one axis, because NumPy's arithmetic turns arrays without axes into scalars.
    flat, flat_target = np.atleast_1d(x), np.atleast_1d(target)
    with np.errstate(all="ignore"):  # ∞ − ∞, and 0/0 in the mean of no numbers, are NaN by the formula
        losses = np.asarray(loss(flat, flat_target), dtype=x.dtype)
        divisor = x.dtype.type(losses.size if total is None else total)
        y = reduced(losses.reshape(shape), reduction, divisor)  # type: ignore[arg-type]  # checked above

    def pullback(dy: Array) -> tuple[Array, Array]:
        u = cotangent(op, dy, y)
        with np.errstate(all="ignore"):
            u = np.asarray(u / divisor if reduction == "mean" else u).reshape(-1 if u.ndim == 0 else u.shape)
            both = [np.broadcast_to(slope * u, losses.shape) for slope in slopes(flat, flat_target)]
            dx, dt = (_summed(a.astype(x.dtype), of.shape) for a, of in zip(both, (x, target), strict=True))
        return dx, dt

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

    result = pointwise(op, x, target, reduction, lambda x, t: loss(x - t), slopes)
    if x.shape != target.shape:  # as torch does: most often the shapes are not meant to differ
        message = f"{op}: the target's shape {target.shape} differs from the input's {x.shape} and is broadcast"
        warnings.warn(message, stacklevel=3)
    return result


def _summed(gradient: Array, shape: tuple[int, ...]) -> Array:
    """The gradient of an array of this shape that was broadcast: the sum over all that read the same number."""
    leading = gradient.ndim - len(shape)
    repeated = [i for i, side in enumerate(gradient.shape) if i < leading or shape[i - leading] != side]
    return np.asarray(gradient.sum(axis=tuple(repeated)) if repeated else gradient).reshape(shape)
