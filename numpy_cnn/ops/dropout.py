"""Dropout: set numbers or whole channels to 0, with a mask that the caller draws."""

import numpy as np

from numpy_cnn.arguments import Array, Pullback, check_floats, cotangent, flag, real

__all__ = ["dropout", "dropout2d"]


def dropout(
    input: Array, p: float = 0.5, training: bool = True, mask: Array | None = None
) -> tuple[Array, Pullback]:
    """Set entries to 0 and scale the others up, as `torch.nn.functional.dropout`.

        y = x · m / (1 − p)        dx = dy · m / (1 − p)        in training
        y = x                      dx = dy                      otherwise

    m is 0 where an entry is dropped, else 1. The mask is an argument, because the op has no state of its own and
    two backends can agree only if they use the same mask: `mask = generator.random(x.shape) >= p`.

    Args:
        input: x, any shape.
        p: the fraction of entries that the mask drops, in [0, 1]; with 1, y is 0.
        training: whether to drop at all.
        mask: m, of x's shape, zeros and ones or bool; needed in training unless p is 0 or 1.

    Returns:
        y of x's shape, and the pullback dy → (dx,).

    Raises:
        ValueError: shapes or dtype are invalid, p is outside [0, 1], or the mask is missing.

    Source: N. Srivastava et al., Dropout: a simple way to prevent neural networks from overfitting (2014).
    """
    check_floats("dropout", input=input)
    return _dropout("dropout", input, p, training, mask, input.shape)


def dropout2d(
    input: Array, p: float = 0.5, training: bool = True, mask: Array | None = None
) -> tuple[Array, Pullback]:
    """Set whole channels to 0 and scale the others up, as `torch.nn.functional.dropout2d`.

        y[n,c] = x[n,c] · m[n,c] / (1 − p)        dx[n,c] = dy[n,c] · m[n,c] / (1 − p)        in training
        y = x                                     dx = dy                                     otherwise

    Args:
        input: x, images (N, C, H, W); as in torch, other numbers of axes are accepted.
        p: the fraction of channels that the mask drops, in [0, 1]; with 1, y is 0.
        training: whether to drop at all.
        mask: m, (N, C), zeros and ones or bool; needed in training unless p is 0 or 1.

    Returns:
        y of x's shape, and the pullback dy → (dx,).

    Raises:
        ValueError: shapes or dtype are invalid, p is outside [0, 1], or the mask is missing.

    Source: J. Tompson et al., Efficient object localization using convolutional networks (2015).
    """
    check_floats("dropout2d", input=input)
    return _dropout("dropout2d", input, p, training, mask, input.shape[:2])


def _dropout(
    op: str, x: Array, p: float, training: bool, mask: Array | None, shape: tuple[int, ...]
) -> tuple[Array, Pullback]:
    share = real(op, "p", p)
    if not 0 <= share <= 1:
        raise ValueError(f"{op}: p must be in [0, 1], got {p}")
    if not flag(op, "training", training):
        return x.copy(), lambda dy: (cotangent(op, dy, x).copy(),)
    if mask is None and share in (0, 1):
        mask = np.full(shape, share == 0)
    elif op == "dropout2d" and x.ndim < 2:
        raise ValueError(f"{op}: expected (N, C, H, W), got {x.shape}")
    if mask is None or np.shape(mask) != shape:
        got = "None" if mask is None else np.shape(mask)
        raise ValueError(f"{op}: training needs a mask of shape {shape}, got {got}")
    scale = np.asarray(mask).astype(x.dtype) * x.dtype.type(0 if share == 1 else 1 / (1 - share))
    scale = np.asarray(scale, dtype=x.dtype).reshape((*shape, *(1,) * (x.ndim - len(shape))))

    def scaled(a: Array) -> Array:
        with np.errstate(invalid="ignore"):  # ∞ · 0 is NaN as in torch, so do not warn
            return np.asarray(a * scale)

    y = scaled(x)
    return y, lambda dy: (scaled(cotangent(op, dy, y)),)
