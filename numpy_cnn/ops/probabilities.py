"""Softmax and its logarithm."""

import numpy as np

from numpy_cnn.arguments import Array, Pullback, axis, check_floats, cotangent

__all__ = ["log_softmax", "softmax"]


def softmax(input: Array, dim: int) -> tuple[Array, Pullback]:
    """Turn scores into probabilities along `dim`, as `torch.nn.functional.softmax`.

        y_i = exp(x_i) / Σ_j exp(x_j)        dx_i = y_i · (dy_i − Σ_j y_j dy_j)

    The largest score is subtracted first: the quotient stays the same and exp cannot overflow.

    Args:
        input: x, scores, any shape.
        dim: the axis whose entries compete; they sum to 1 afterwards.

    Returns:
        y of x's shape, and the pullback dy → (dx,).

    Raises:
        ValueError: x is not a floating array, it has no axis `dim`, or dy does not have the shape of y.

    Source: J. Bridle, Probabilistic interpretation of feedforward classification network outputs (1990).
    """
    check_floats("softmax", input=input)
    x = input
    if x.ndim == 0:
        y, row_pullback = softmax(x[None], axis("softmax", "dim", dim, 0))
        return y.reshape(()), lambda dy: (row_pullback(cotangent("softmax", dy, y[0])[None])[0].reshape(()),)
    dim = axis("softmax", "dim", dim, x.ndim)
    with np.errstate(invalid="ignore"):  # ∞ − ∞ is NaN as in torch, so do not warn
        y = np.exp(_shifted(x, dim))
    y /= y.sum(axis=dim, keepdims=True)

    def pullback(dy: Array) -> tuple[Array]:
        dy = cotangent("softmax", dy, y)
        return (y * (dy - (y * dy).sum(axis=dim, keepdims=True)),)

    return y, pullback


def log_softmax(input: Array, dim: int) -> tuple[Array, Pullback]:
    """The logarithm of the softmax, as `torch.nn.functional.log_softmax`.

        y_i = x_i − log Σ_j exp(x_j)        dx_i = dy_i − exp(y_i) · Σ_j dy_j

    Computed as z − log Σ exp(z) with z = x − max x, which is finite where log(softmax(x)) would be log 0.

    Args:
        input: x, scores, any shape.
        dim: the axis whose entries compete.

    Returns:
        y of x's shape, and the pullback dy → (dx,).

    Raises:
        ValueError: x is not a floating array, it has no axis `dim`, or dy does not have the shape of y.

    Source: P. Blanchard, D. Higham, N. Higham, Accurately computing the log-sum-exp and softmax functions (2021).
    """
    check_floats("log_softmax", input=input)
    x = input
    if x.ndim == 0:
        y, row_pullback = log_softmax(x[None], axis("log_softmax", "dim", dim, 0))
        return y.reshape(()), lambda dy: (row_pullback(cotangent("log_softmax", dy, y[0])[None])[0].reshape(()),)
    dim = axis("log_softmax", "dim", dim, x.ndim)
    with np.errstate(invalid="ignore", divide="ignore"):  # ∞ − ∞, and the sum over an axis of no entries
        z = _shifted(x, dim)
        y = z - np.log(np.exp(z).sum(axis=dim, keepdims=True))

    def pullback(dy: Array) -> tuple[Array]:
        dy = cotangent("log_softmax", dy, y)
        return (dy - np.exp(y) * dy.sum(axis=dim, keepdims=True),)

    return y, pullback


def _shifted(x: Array, dim: int) -> Array:
    """x minus its maximum along `dim`."""
    return np.asarray(x - x.max(axis=dim, keepdims=True)) if x.size else x.copy()
