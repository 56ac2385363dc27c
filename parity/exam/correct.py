"""Implementations that are correct but look unusual: none of them may be flagged."""

import math
from typing import Any

import numpy as np

from numpy_cnn import ops
from numpy_cnn.arguments import Array
from numpy_cnn.chain import Layer
from numpy_cnn.common.spec.architecture import Architecture
from parity.exam.bug import alike, correct
from parity.exam.call import Call, Called
from parity.exam.changes import both, gradient, only, output, result
from parity.exam.loss import at_target
from parity.exam.network import network
from parity.exam.optimizers import Trajectory
from parity.exam.softmax import total

JACOBIAN_LIMIT = 1000  # a row of 2¹⁵ entries would have a Jacobian of 4 GiB


def _rectified_copy(a: Array, where: Array) -> Array:
    a = np.array(a)
    a[where] = 0
    return a


def _by_jacobian(dy: Array, c: Call) -> Array:
    """(diag(y) - y yᵀ) dy for every row."""
    if c.x.ndim == 0:
        return np.asarray(c.y * dy - c.y * (c.y * dy))
    rows, u = np.moveaxis(c.y, c.options["dim"], -1), np.moveaxis(dy, c.options["dim"], -1)
    jacobian = rows[..., None] * (np.eye(rows.shape[-1], dtype=c.x.dtype) - rows[..., None, :])
    return np.moveaxis((jacobian @ u[..., None])[..., 0], -1, c.options["dim"])


def _fused(dy: Array, c: Call) -> Array:
    """(onehot - softmax) · v · dy, with the sum over the classes multiplied out."""
    axis = min(1, c.x.ndim - 1)
    onehot = at_target(dy, c)
    return np.asarray(onehot - np.exp(ops.log_softmax(c.x, axis)[0]) * onehot.sum(axis=axis, keepdims=True))


def _by_inner_product(c: Call) -> Any:
    e = np.asarray(c.x - c.w).reshape(c.x.size)
    return e @ e / (c.x.dtype.type(e.size) if c.options["reduction"] == "mean" else 1)


def _factor(c: Call) -> float:
    return 2 / max(1, c.x.size) if c.options["reduction"] == "mean" else 2


def _by_means(c: Call) -> Any:
    squares = np.square(c.x - c.w)
    return {"none": lambda: squares, "sum": squares.sum, "mean": squares.mean}[c.options["reduction"]]()


def _by_logaddexp(c: Call) -> Any:
    """x − log Σ exp(x), where the logarithm adds one term at a time."""
    return c.x - np.logaddexp.reduce(c.x, axis=c.options["dim"], keepdims=True)


# fmt: off
alike("relu", "relu-by-where", "np.where between x and 0.",
      both(output(lambda c: np.where(c.x < 0, 0, c.x)), gradient(lambda dy, c: np.where(c.x <= 0, 0, dy))))
alike("relu", "relu-by-clip",
      "np.maximum(x, 0) except at zeros, to keep their sign; the gradient passes where it is not 0.",
      both(output(lambda c: np.where(c.x == 0, c.x, np.maximum(c.x, 0))),
           gradient(lambda dy, c: np.where(np.maximum(c.x, 0) != 0, dy, 0))))
alike("relu", "relu-in-a-copy", "Zeros are written to a copy of x and a copy of dy.",
      both(output(lambda c: _rectified_copy(c.x, c.x < 0)),
           gradient(lambda dy, c: _rectified_copy(dy, c.x <= 0))))
alike("flatten", "flatten-in-a-copy", "Every result is a copy.", result(lambda a, _: a.copy()))
alike("softmax", "softmax-by-logarithm", "exp(log_softmax(x)), with the gradient multiplied out.",
      both(output(lambda c: np.exp(ops.log_softmax(c.x, c.options["dim"])[0])),
           gradient(lambda dy, c: c.y * dy - c.y * total(c.y * dy, c))))
alike("softmax", "softmax-by-jacobian", "The full Jacobian diag(y) - y yᵀ of every row, times dy.",
      only(lambda c: c.x.size < JACOBIAN_LIMIT, gradient(_by_jacobian)))
alike("log_softmax", "log-softmax-by-logaddexp", "x minus np.logaddexp.reduce(x).",
      only(lambda c: c.x.ndim > 0 and c.x.size > 0 and bool(np.isfinite(c.x).all()), output(_by_logaddexp)))
alike("cross_entropy", "ce-fused", "(softmax - onehot) · v · dy in one formula.", gradient(_fused))
alike("mse_loss", "mse-by-numpy-mean", "np.square and np.mean, with the factor 2 / size in one number.",
      both(output(_by_means), gradient(lambda dy, c: _factor(c) * (c.x - c.w) * dy)))
alike("mse_loss", "mse-by-inner-product", "The dot product of the difference with itself.",
      only(lambda c: c.options["reduction"] != "none", output(_by_inner_product)))
# fmt: on


@correct("linear")
def linear_by_einsum(x: Array, w: Array, b: Array | None = None) -> Called:
    """einsum in the output and in dx, tensordot over the leading axes in dw."""
    y = np.einsum("oi,...i->...o", w, x) + (0 if b is None else b)
    lead = tuple(range(x.ndim - 1))
    return y.astype(x.dtype), lambda dy: (
        np.einsum("...o,oi->...i", dy, w),
        np.tensordot(dy, x, axes=(lead, lead)),
        None if b is None else dy.sum(axis=lead),
    )


@correct("linear")
def linear_with_ones(x: Array, w: Array, b: Array | None = None) -> Called:
    """The bias is a further column of the weight, and the input has a column of ones."""
    rows = x.reshape(math.prod(x.shape[:-1]), x.shape[-1])
    wide = rows if b is None else np.hstack([rows, np.ones((len(rows), 1), x.dtype)])
    matrix = w if b is None else np.hstack([w, b[:, None]])

    def pullback(dy: Array) -> tuple[Array | None, ...]:
        u = dy.reshape(len(rows), len(w))
        dmatrix = (wide.T @ u).T
        dx = (u @ matrix)[:, : w.shape[1]].reshape(x.shape)
        return dx, dmatrix[:, : w.shape[1]], None if b is None else dmatrix[:, -1]

    return (wide @ matrix.T).reshape(*x.shape[:-1], len(w)), pullback


@correct("nll_loss")
def nll_by_one_hot(x: Array, target: Array, **options: Any) -> Called:
    """A one-hot array times the log-probabilities, masked so that 0 times −∞ is 0."""
    ignore, weight = options.get("ignore_index", -100), options.get("weight")
    axis = min(1, x.ndim - 1)
    classes = np.arange(x.shape[axis]).reshape(-1, *[1] * (x.ndim - 1 - axis))
    hot = (np.expand_dims(target, axis) == classes) & np.expand_dims(target != ignore, axis)
    v = hot.astype(x.dtype) if weight is None else hot * weight.reshape(classes.shape)
    each = np.where(hot, -v * np.where(hot, x, 0), 0).sum(axis=axis, dtype=x.dtype)
    total = v.sum(dtype=x.dtype)
    mean, none = options["reduction"] == "mean", options["reduction"] == "none"
    y = each if none else each.sum(dtype=x.dtype) / total if mean else each.sum(dtype=x.dtype)

    def pullback(dy: Array) -> tuple[Array, None]:
        u = np.expand_dims(dy, axis) if none else dy / total if mean else dy
        return np.where(hot, -v * u, 0).astype(x.dtype), None

    return np.asarray(y), pullback


@correct("SimpleCNN")
def cnn_pools_before_the_relu(x: Array, *parameters: Array, architecture: Any, target: Array) -> Called:
    """The ReLU follows the pooling: the two commute."""

    def layers(before: list[Layer], a: Architecture) -> list[Layer]:
        conv, relu, pool, *others = before
        return [conv, pool, relu, *others] if a.activation == "relu" else before

    return network(x, *parameters, architecture=architecture, target=target, layers=layers)


@correct("SGD")
def sgd_rate_in_the_velocity(parameter: Array, *gradients: Array | None, **settings: Any) -> Trajectory:
    """The learning rate is part of the velocity: equivalent as long as it is constant."""
    lr, mu = settings["lr"], settings["momentum"]
    w, velocity, trajectory = parameter.copy(), None, []
    for given in gradients:
        if given is not None:
            g = lr * ((-given if settings["maximize"] else given) + settings["weight_decay"] * w)
            velocity = g if velocity is None else mu * velocity + (1 - settings["dampening"]) * g
            w = w - ((g + mu * velocity) if settings["nesterov"] else velocity if mu else g)
        trajectory.append(w)
    return np.stack(trajectory).astype(parameter.dtype), None


@correct("Adam")
def adam_folded_step_size(parameter: Array, *gradients: Array | None, **settings: Any) -> Trajectory:
    """Both corrections in the step size, lr √(1 − β₂ᵗ) / (1 − β₁ᵗ), on a flat vector."""
    return _folded(parameter, gradients, decoupled=False, **settings)


@correct("AdamW")
def adamw_folded_step_size(parameter: Array, *gradients: Array | None, **settings: Any) -> Trajectory:
    """Both corrections in the step size, with the weights decayed before the step."""
    return _folded(parameter, gradients, decoupled=True, **settings)


def _folded(
    parameter: Array,
    gradients: tuple[Array | None, ...],
    *,
    decoupled: bool,
    lr: float,
    betas: tuple[float, float],
    eps: float,
    weight_decay: float,
    amsgrad: bool,
    maximize: bool,
) -> Trajectory:
    w = parameter.reshape(-1).copy()
    m, v, most, t = np.zeros_like(w), np.zeros_like(w), np.zeros_like(w), 0
    trajectory = []
    for given in gradients:
        if given is not None:
            t += 1
            g = (-given if maximize else given).reshape(-1)
            if decoupled:
                w = w - lr * weight_decay * w
            else:
                g = g + weight_decay * w
            m = m + (1 - betas[0]) * (g - m)
            v = betas[1] * v + (1 - betas[1]) * g * g
            most = np.maximum(most, v)
            root = math.sqrt(1 - betas[1] ** t)
            w = w - lr * root / (1 - betas[0] ** t) * m / (np.sqrt(most if amsgrad else v) + eps * root)
        trajectory.append(w.reshape(parameter.shape))
    return np.stack(trajectory).astype(parameter.dtype), None
