"""The common part of losses that compare each prediction with its target."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from numpy_cnn.arguments import Array, Pullback, check_floats, cotangent
from numpy_cnn.ops.fast.elementwise import elementwise, elementwise_sum
from numpy_cnn.ops.reduction import Reduction, check_reduction


def pointwise(
    op: str,
    x: Array,
    target: Array,
    reduction: Reduction | str,
    loss: Callable[..., Any],
    slopes: Callable[..., Any],
    *,
    weights: tuple[Array, ...] = (),
    total: int | None = None,
    broadcast: bool = True,
) -> tuple[Array, Pullback]:
    """The reduced loss and its pullback, computed in pieces that fit in the cache.

    loss(x, t, *weights, y) writes the loss of each element to y. slopes(x, t, *weights, u, dx, dt) writes the
    gradients to dx and dt; u is a number if the loss is reduced. A mean divides by `total`, or by the number of
    elements. Without `broadcast` both shapes must be equal.
    """
    check_floats(op, input=x, target=target)
    check_reduction(op, reduction)
    try:
        shape = np.broadcast_shapes(x.shape, target.shape)
    except ValueError:
        shape = None
    if shape is None or not (broadcast or x.shape == target.shape):
        raise ValueError(f"{op}: input and target must have the same shape, got {x.shape} and {target.shape}")
    arrays = np.broadcast_arrays(x, target, *weights) if x.shape != target.shape or weights else [x, target]
    if reduction == "none":
        divisor, y = 1, elementwise(loss, *arrays)
    else:
        divisor = 1 if reduction == "sum" else arrays[0].size if total is None else total
        with np.errstate(invalid="ignore", over="ignore"):  # the mean of no numbers is 0/0
            y = np.asarray(elementwise_sum(loss, *arrays) / divisor).astype(x.dtype)

    def pullback(dy: Array) -> tuple[Array, Array]:
        u = cotangent(op, dy, y)
        if reduction == "none":
            dx, dt = elementwise(slopes, *arrays, u, outputs=2)
        else:
            with np.errstate(all="ignore"):
                share = (u / x.dtype.type(divisor))[()]
            dx, dt = elementwise(lambda *parts: slopes(*parts[:-2], share, *parts[-2:]), *arrays, outputs=2)
        return _summed(dx, x.shape), _summed(dt, target.shape)

    return y, pullback


def of_difference(
    op: str,
    x: Array,
    target: Array,
    reduction: Reduction,
    loss: Callable[[Array], Any],
    slope: Callable[[Array], Any],
) -> tuple[Array, Pullback]:
    """A loss that depends on d = x − t alone, so that dt = −dx. loss(d) and slope(d) write their result to d."""

    def losses(x: Array, t: Array, y: Array) -> None:
        loss(np.subtract(x, t, out=y))

    def slopes(x: Array, t: Array, u: Array, dx: Array, dt: Array) -> None:
        slope(np.subtract(x, t, out=dx))
        np.multiply(dx, u, out=dx)
        np.negative(dx, out=dt)

    result = pointwise(op, x, target, reduction, losses, slopes)
    if x.shape != target.shape:  # as torch does: most often the shapes are not meant to differ
        message = f"{op}: the target's shape {target.shape} differs from the input's {x.shape} and is broadcast"
        warnings.warn(message, stacklevel=3)
    return result


def _summed(gradient: Array, shape: tuple[int, ...]) -> Array:
    """The gradient of an array of this shape that was broadcast: the sum over all that read the same number."""
    leading = gradient.ndim - len(shape)
    repeated = [i for i, side in enumerate(gradient.shape) if i < leading or shape[i - leading] != side]
    return np.asarray(gradient.sum(axis=tuple(repeated)) if repeated else gradient).reshape(shape)
