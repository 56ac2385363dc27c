"""The dense layer, and the flattening before it."""

import math

import numpy as np

from numpy_cnn.arguments import Array, Pullback, axis, check_floats, cotangent

__all__ = ["flatten", "linear"]


def linear(input: Array, weight: Array, bias: Array | None = None) -> tuple[Array, Pullback]:
    """Multiply by a matrix and add a vector, as `torch.nn.functional.linear`.

        y = x wᵀ + b        dx = dy w        dw = dyᵀ x        db = Σ dy over all but the last axis

    Args:
        input: x, (…, in), any number of leading axes.
        weight: (out, in), or (in,) for one output without an axis.
        bias: (out,), or () for the same number in every output, or None; None for a weight (in,).

    Returns:
        y (…, out), and the pullback dy → (dx, dw, db).
        `pullback(dy, needs_input_grad=(False, True, True))` skips dx and returns None in its place.

    Raises:
        ValueError: shapes or dtypes are invalid.

    Source: B. Widrow and M. Hoff, Adaptive switching circuits (1960).
    """
    check_floats("linear", ("input", "weight"), input=input, weight=weight, bias=bias)
    x = input
    if weight.ndim not in (1, 2) or x.ndim < 1 or x.shape[-1] != weight.shape[-1]:
        raise ValueError(
            f"linear: expected x (…, in) and weight (out, in) or (in,), got {x.shape} and {weight.shape}"
        )
    if weight.ndim == 1:
        if bias is not None:  # torch accepts one for some inputs and not for others
            raise ValueError(f"linear: a weight (in,) takes no bias, got one of shape {bias.shape}")
        return _one_output(x, weight)
    if bias is not None and bias.shape not in (weight.shape[:1], (1,), ()):
        raise ValueError(f"linear: bias must have the shape {weight.shape[:1]}, (1,) or (), got {bias.shape}")
    # The leading axes form one long batch. reshape(-1, …) would fail on 0 rows.
    batch = math.prod(x.shape[:-1])
    rows = x.reshape(batch, x.shape[-1])
    # (w xᵀ)ᵀ instead of x wᵀ: the same numbers, but BLAS is up to twice as fast when the short side (the batch)
    # is last.
    y = (weight @ rows.T).T
    if bias is not None:
        y += bias
    y = y.reshape(*x.shape[:-1], len(weight))

    def pullback(
        dy: Array, needs_input_grad: tuple[bool, bool, bool] = (True, True, True)
    ) -> tuple[Array | None, Array | None, Array | None]:
        u = cotangent("linear", dy, y).reshape(batch, len(weight))
        needs_dx, needs_dw, needs_db = needs_input_grad
        dx = dw = None
        if needs_dx:  # in the layout of x, which the preceding op expects
            dx = np.matmul(u, weight, out=np.empty_like(rows)).reshape(x.shape)
        if needs_dw:  # for a single sample this is an outer product: dot uses BLAS for it, matmul does not
            dw = np.dot(u.T, rows) if batch == 1 else u.T @ rows
        db = None if bias is None or not needs_db else _as_bias(u.sum(axis=0), bias)
        return dx, dw, db

    return y, pullback


def _as_bias(db: Array, bias: Array) -> Array:
    """The gradient of the bias of each output; of one bias for all outputs, their sum."""
    return np.asarray(db if bias.shape == db.shape else db.sum()).reshape(bias.shape)


def _one_output(x: Array, weight: Array) -> tuple[Array, Pullback]:
    y, row_pullback = linear(x, weight[None])

    def pullback(dy: Array, **needs: tuple[bool, bool, bool]) -> tuple[Array | None, ...]:
        dx, dw, db = row_pullback(cotangent("linear", dy, y[..., 0])[..., None], **needs)
        return dx, None if dw is None else dw[0], db

    return np.asarray(y[..., 0]), pullback


def flatten(input: Array, start_dim: int = 0, end_dim: int = -1) -> tuple[Array, Pullback]:
    """Join the axes start_dim … end_dim into one, in row-major order, as `torch.flatten`.

        y = x in its new shape        dx = dy in x's shape

    Args:
        input: x, any shape.
        start_dim: the first axis to join; the network uses 1, which keeps the batch.
        end_dim: the last axis to join.

    Returns:
        y, a view of x where the layout allows one, and the pullback dy → (dx,).

    Raises:
        ValueError: x is not a floating array, it lacks one of the axes, or start_dim is after end_dim.

    Source: the convention of torch.flatten.
    """
    check_floats("flatten", input=input)
    x = input
    start, end = axis("flatten", "start_dim", start_dim, x.ndim), axis("flatten", "end_dim", end_dim, x.ndim)
    if start > end:
        raise ValueError(f"flatten: start_dim {start_dim} comes after end_dim {end_dim} in the shape {x.shape}")
    y = x.reshape(*x.shape[:start], math.prod(x.shape[start : end + 1]), *x.shape[end + 1 :])

    def pullback(dy: Array) -> tuple[Array]:
        return (cotangent("flatten", dy, y).reshape(x.shape),)

    return y, pullback
