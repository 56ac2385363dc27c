"""How far an op may be from the exact result in floating point: derived for each element, never typed by hand.

A sum of n products, each rounded and added in whatever order, lies within γₙ·Σ|x||w| of the exact one, where
γₙ = n·u/(1−n·u) and u is the unit roundoff (2⁻²⁴ in float32, 2⁻⁵³ in float64). Σ|x||w| is the op itself on the
absolute values, run in float64: one more call of the oracle is the whole bound.

Source: N. Higham, Accuracy and Stability of Numerical Algorithms (2nd ed., 2002), chapters 3 and 4.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from parity.cases.torch_op import Array, Op


class Setting(NamedTuple):
    """What a bound is computed from: the oracle's op, its arguments in float64, and the roundoff allowed for."""

    op: Op
    arrays: tuple[Array | None, ...]
    options: dict[str, Any]
    dy: Array
    u: float
    tiny: float  # smallest normal number: below it results lose digits, or are flushed to zero


# The error allowed in the output, and in the gradient of each positional array (None where there is none).
Allowed: TypeAlias = tuple[Array, tuple[Array | None, ...]]
Bound: TypeAlias = Callable[[Setting], Allowed]

# exp and log are not rounded correctly. 4 units in the last place (8·u) are allowed for each call; over two
# million arguments the worst seen was 3.4·u in NumPy's float32 exp. Torch's float32 sqrt was off by 1.5·u.
FUNCTION_ERROR = 8
SQRT_ERROR = 2


def gamma(n: Any, u: float) -> Any:
    """γₙ = n·u / (1 − n·u); elementwise where n is an array."""
    return n * u / (1 - n * u)


def copies(s: Setting) -> Allowed:
    """For ops that copy or select and never compute: no error at all."""
    y, pullback = s.op(*s.arrays, **s.options)
    return np.zeros_like(y), tuple(None if g is None else np.zeros_like(g) for g in pullback(s.dy))


def _sums(s: Setting, lengths: Callable[[Array, Array], tuple[int, int, int]]) -> Allowed:
    """For ops linear in the input and in the weight; `lengths` counts the terms of y, of dx, and of dw and db."""
    absolute = [None if array is None else np.abs(array) for array in s.arrays]
    y, pullback = s.op(*absolute, **s.options)
    weight = s.arrays[1]
    assert weight is not None
    of_y, of_dx, of_dw = lengths(weight, y)
    counts = of_dx, of_dw, of_dw
    gradients = zip(counts, pullback(np.abs(s.dy)), strict=True)
    return gamma(of_y, s.u) * y, tuple(None if g is None else gamma(n, s.u) * g for n, g in gradients)


def conv2d(s: Setting) -> Allowed:
    """y sums C/g·kh·kw products and the bias, dx at most O/g·kh·kw, dw and db N·oh·ow."""

    def lengths(w: Array, y: Array) -> tuple[int, int, int]:
        taps = w.shape[2] * w.shape[3]
        return w[0].size + 1, w.shape[0] // s.options["groups"] * taps, y[:, 0].size

    return _sums(s, lengths)


def linear(s: Setting) -> Allowed:
    """y sums `in` products and the bias, dx `out`, dw and db one a row of the batch."""

    def lengths(w: Array, y: Array) -> tuple[int, int, int]:
        return w.shape[1] + 1, w.shape[0], y[..., 0].size

    return _sums(s, lengths)


def max_pool2d(s: Setting) -> Allowed:
    """y is a selection. dx adds up the windows that a pixel has won: kh·kw at most."""
    y, pullback = s.op(*s.arrays, **s.options)
    kernel = s.options["kernel_size"]
    taps = kernel**2 if isinstance(kernel, int) else kernel[0] * kernel[1]
    (dx,) = pullback(np.abs(s.dy))
    return np.zeros_like(y), (gamma(taps, s.u) * dx,)


def mse_loss(s: Setting) -> Allowed:
    """A difference, a square, a sum of terms that are all positive, a division; likewise backwards."""
    y, pullback = s.op(*s.arrays, **s.options)
    x = s.arrays[0]
    assert x is not None
    return gamma(x.size + 4, s.u) * y, tuple(gamma(5, s.u) * np.abs(g) for g in pullback(s.dy))


def nll_loss(s: Setting) -> Allowed:
    """Σ v·|x| / Σ v: the product, two sums over the samples, the division."""
    x, target = s.arrays
    assert x is not None
    assert target is not None
    y, pullback = s.op(-np.abs(x), target, **s.options)
    dx, _ = pullback(np.abs(s.dy))
    return gamma(2 * target.size + 3, s.u) * y, (gamma(target.size + 4, s.u) * np.abs(dx), None)


class _Softmax(NamedTuple):
    """The softmax of x along an axis, and the error of its parts in units of u, to first order.

    Subtracting the maximum rounds z by |z|·u, which is the relative error of exp(z) beside the function's own.
    The sum of C positive terms carries their weighted mean, and C − 1 roundings.
    """

    p: Array
    probability: Array  # relative error of p
    logarithm: Array  # absolute error of log p


def _softmax(x: Array, dim: int) -> _Softmax:
    x = np.atleast_1d(x)
    if x.size == 0:
        return _Softmax(x, x, x)
    largest = x.max(axis=dim, keepdims=True)
    z = x - largest
    e = np.exp(z)
    total = e.sum(axis=dim, keepdims=True)
    p, distance = e / total, np.abs(z)
    of_sum = (p * distance).sum(axis=dim, keepdims=True) + FUNCTION_ERROR + x.shape[dim] - 1
    log_total = np.log(total)
    of_log = 2 * distance + of_sum + (FUNCTION_ERROR + 2) * log_total
    # Other ways are as right: p as exp(log p); and log p as x − (max + log Σ), which rounds a sum of that size.
    return _Softmax(p, of_log + FUNCTION_ERROR + 1, of_log + np.abs(largest))


def softmax(s: Setting) -> Allowed:
    """y = p; dx = p·(dy − Σ p·dy), the error of p entering three times."""
    x, dim = s.arrays[0], s.options["dim"]
    assert x is not None
    p, relative, _ = _softmax(x, dim)
    rho = gamma(relative, s.u)
    dy = np.abs(s.dy).reshape(p.shape)
    terms = x.shape[dim] if x.ndim else 1
    inner = (p * dy).sum(axis=dim, keepdims=True)
    of_inner = (p * dy * (rho + gamma(terms + 1, s.u))).sum(axis=dim, keepdims=True)
    dx = p * ((dy + inner) * (rho + gamma(3, s.u)) * (1 + rho) + of_inner * (1 + rho))
    return _shaped(p * rho + s.tiny, x), (_shaped(dx + s.tiny * (1 + dy + inner), x),)


def log_softmax(s: Setting) -> Allowed:
    """y = log p; dx = dy − exp(y)·Σ dy."""
    x, dim = s.arrays[0], s.options["dim"]
    assert x is not None
    p, _, absolute = _softmax(x, dim)
    of_y = gamma(absolute, s.u)
    dy = s.dy.reshape(p.shape)
    terms = x.shape[dim] if x.ndim else 1
    total, size = np.abs(dy.sum(axis=dim, keepdims=True)), np.abs(dy).sum(axis=dim, keepdims=True)
    of_exp = (1 + of_y) * (1 + gamma(FUNCTION_ERROR + 2, s.u)) - 1
    dx = p * (total * of_exp + gamma(terms, s.u) * size * (1 + of_exp)) + gamma(2, s.u) * (np.abs(dy) + p * total)
    return _shaped(of_y, x), (_shaped(dx + s.tiny * (1 + size), x),)


def cross_entropy_with(nll: Op) -> Bound:
    """The bound of `nll` (the oracle's nll_loss) on log-probabilities that carry log_softmax's error."""

    def bound(s: Setting) -> Allowed:
        x, target = s.arrays
        assert x is not None
        assert target is not None
        axis = 0 if x.ndim == 1 else 1
        p, _, absolute = _softmax(x, axis)
        of_log = gamma(absolute, s.u)
        # nll is linear in the log-probabilities: it carries their error as it carries them.
        carried, _ = nll(-of_log, target, **s.options)
        summed, pullback = nll(-np.abs(_log_softmax(x, axis)), target, **s.options)
        of_y = carried * (1 + gamma(2 * target.size + 3, s.u)) + gamma(2 * target.size + 3, s.u) * summed
        onehot = np.abs(pullback(np.abs(s.dy))[0])  # |dy|·v/Σv at the target, 0 elsewhere
        each = onehot.sum(axis=axis, keepdims=True)
        of_exp = (1 + of_log) * (1 + gamma(FUNCTION_ERROR + 2, s.u)) - 1
        of_scale = gamma(target.size + 6, s.u)
        dx = p * each * (of_exp + of_scale * (1 + of_exp)) + of_scale * onehot
        return of_y, (dx + s.tiny * (1 + each), None)

    return bound


def _log_softmax(x: Array, dim: int) -> Array:
    if x.size == 0:
        return x
    z = x - x.max(axis=dim, keepdims=True)
    return np.asarray(z - np.log(np.exp(z).sum(axis=dim, keepdims=True)))


def _shaped(bound: Array, like: Array) -> Array:
    return np.broadcast_to(bound, np.atleast_1d(like).shape).reshape(like.shape)
