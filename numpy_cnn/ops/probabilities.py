"""Softmax and its logarithm."""

import warnings
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from numpy_cnn.arguments import Array, Pullback, axis, check_floats, cotangent

__all__ = ["log_softmax", "softmax"]


def softmax(input: Array, dim: int | None = None, dtype: npt.DTypeLike | None = None) -> tuple[Array, Pullback]:
    """Turn scores into probabilities along `dim`, as `torch.nn.functional.softmax`.

        y_i = exp(x_i) / Σ_j exp(x_j)        dx_i = y_i · (dy_i − Σ_j y_j dy_j)

    The largest score is subtracted first: the quotient stays the same and exp cannot overflow.

    Args:
        input: x, scores, any shape.
        dim: the axis whose entries compete; they sum to 1 afterwards. None is deprecated, as in torch: 0 for 0, 1
            or 3 axes, else 1, with a warning.
        dtype: the floating dtype to compute in, to which x is converted; None for x's.

    Returns:
        y of x's shape, and the pullback dy → (dx,).

    Raises:
        ValueError: x or dtype is not floating, x has no axis `dim`, or dy does not have the shape of y.

    Source: J. Bridle, Probabilistic interpretation of feedforward classification network outputs (1990).
    """
    check_floats("softmax", input=input)
    dim = _axis_of("softmax", input, dim)
    if dtype is not None or input.ndim == 0:
        return _converted(softmax, input, dim, dtype)
    x = input
    with np.errstate(invalid="ignore"):  # ∞ − ∞ is NaN as in torch, so do not warn
        y = np.exp(_shifted(x, dim))
    y /= y.sum(axis=dim, keepdims=True)

    def pullback(dy: Array) -> tuple[Array]:
        dy = cotangent("softmax", dy, y)
        return (y * (dy - (y * dy).sum(axis=dim, keepdims=True)),)

    return y, pullback


def log_softmax(
    input: Array, dim: int | None = None, dtype: npt.DTypeLike | None = None
) -> tuple[Array, Pullback]:
    """The logarithm of the softmax, as `torch.nn.functional.log_softmax`.

        y_i = x_i − log Σ_j exp(x_j)        dx_i = dy_i − exp(y_i) · Σ_j dy_j

    Computed as z − log Σ exp(z) with z = x − max x, which is finite where log(softmax(x)) would be log 0.

    Args:
        input: x, scores, any shape.
        dim: the axis whose entries compete. None is deprecated, as in torch: 0 for 0, 1 or 3 axes, else 1, with a
            warning.
        dtype: the floating dtype to compute in, to which x is converted; None for x's.

    Returns:
        y of x's shape, and the pullback dy → (dx,).

    Raises:
        ValueError: x or dtype is not floating, x has no axis `dim`, or dy does not have the shape of y.

    Source: P. Blanchard, D. Higham, N. Higham, Accurately computing the log-sum-exp and softmax functions (2021).
    """
    check_floats("log_softmax", input=input)
    dim = _axis_of("log_softmax", input, dim)
    if dtype is not None or input.ndim == 0:
        return _converted(log_softmax, input, dim, dtype)
    x = input
    with np.errstate(invalid="ignore", divide="ignore"):  # ∞ − ∞, and the sum over an axis of no entries
        z = _shifted(x, dim)
        y = z - np.log(np.exp(z).sum(axis=dim, keepdims=True))

    def pullback(dy: Array) -> tuple[Array]:
        dy = cotangent("log_softmax", dy, y)
        return (dy - np.exp(y) * dy.sum(axis=dim, keepdims=True),)

    return y, pullback


def _axis_of(op: str, x: Array, dim: int | None) -> int:
    """The axis of a softmax, which without `dim` is the deprecated choice of torch."""
    if dim is None:
        dim = 0 if x.ndim in (0, 1, 3) else 1
        warnings.warn(f"{op}: without dim the axis is {dim} for {x.ndim} axes; pass it explicitly", stacklevel=3)
    return axis(op, "dim", dim, x.ndim)


def _converted(
    op: Callable[..., tuple[Array, Pullback]], x: Array, dim: int, dtype: npt.DTypeLike | None
) -> tuple[Array, Pullback]:
    """`op` of x in another floating dtype, or of a single number, as an array of one axis."""
    name = op.__name__
    try:
        wanted = np.dtype(str(dtype).removeprefix("torch.") if type(dtype).__module__ == "torch" else dtype)
    except TypeError:
        raise ValueError(f"{name}: dtype must be a dtype of NumPy or torch, got {dtype!r}") from None
    if dtype is not None and (wanted.kind != "f" or wanted.itemsize > 8):
        raise ValueError(f"{name}: dtype must be floating of at most 64 bits, got {wanted}")
    converted = np.atleast_1d(x if dtype is None else x.astype(wanted))
    result, pullback = op(converted, dim)
    y = result.reshape(x.shape)

    def of_x(dy: Array) -> tuple[Array]:
        (dx,) = pullback(cotangent(name, dy, y).reshape(converted.shape))
        return (dx.astype(x.dtype, copy=False).reshape(x.shape),)

    return y, of_x


def _shifted(x: Array, dim: int) -> Array:
    """x minus its maximum along `dim`."""
    return np.asarray(x - x.max(axis=dim, keepdims=True)) if x.size else x.copy()
