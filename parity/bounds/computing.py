"""Rules of operations that compute: each propagates the errors of its operands and adds its own roundings.

An elementary operation is allowed ROUNDINGS roundings, because correct implementations may combine or separate
scalar factors; a sum of n terms has γₙ for any order of summation.
"""

import math
from collections.abc import Callable
from typing import Any

import torch

from parity.bounds.derived import FUNCTION_ERROR, SQRT_ERROR, gamma
from parity.bounds.with_error import NoRule, Tensor, WithError, aten, first, numbers, parts, rule, sizes

ROUNDINGS = 2


def _rounded(like: WithError, value: Tensor, error: Tensor, n: Any = ROUNDINGS) -> WithError:
    """Add n roundings of the result, and the loss below the smallest normal number."""
    lost = torch.where(value == 0, 0.0, like.tiny)
    return like.like(value, error + gamma(n, like.u) * (value.abs() + error) + lost)


# ---- arithmetic


@rule("add")
def _add(a: Any, b: Any, *, alpha: Any = 1) -> WithError:
    like = first(a, b)
    if alpha != 1:
        b = _mul(b, alpha) if isinstance(b, WithError) else b * alpha
    (left, left_error), (right, right_error) = numbers(a, like), numbers(b, like)
    return _rounded(like, left + right, left_error + right_error)


@rule("sub")
def _sub(a: Any, b: Any, *, alpha: Any = 1) -> WithError:
    return _add(a, b, alpha=-alpha)


@rule("rsub")
def _rsub(a: Any, b: Any, alpha: Any = 1) -> WithError:
    return _add(b, a, alpha=-alpha)


@rule("mul")
def _mul(a: Any, b: Any) -> WithError:
    like = first(a, b)
    (left, left_error), (right, right_error) = numbers(a, like), numbers(b, like)
    carried = left.abs() * right_error + left_error * right.abs() + left_error * right_error
    return _rounded(like, left * right, carried)


@rule("div")
def _div(a: Any, b: Any, *, rounding_mode: str | None = None) -> WithError:
    if rounding_mode is not None:
        raise NoRule(f"a division that rounds to {rounding_mode}")
    like = first(a, b)
    (left, left_error), (right, right_error) = numbers(a, like), numbers(b, like)
    quotient, room = left / right, right.abs() - right_error  # the smallest divisor is `room`
    error = torch.where(room > 0, (left_error + quotient.abs() * right_error) / room, torch.inf)
    return _rounded(like, quotient, error)


# The following three have decompositions in torch, which take most of the time of an optimizer's bound.


@rule("addcmul")
def _addcmul(x: Any, a: Any, b: Any, *, value: Any = 1) -> WithError:
    return _add(x, _mul(a, b) if _any_errors(a, b) else a * b, alpha=value)


@rule("addcdiv")
def _addcdiv(x: Any, a: Any, b: Any, *, value: Any = 1) -> WithError:
    return _add(x, _div(a, b) if _any_errors(a, b) else a / b, alpha=value)


@rule("lerp")
def _lerp(start: Any, end: Any, weight: Any) -> WithError:
    apart = _sub(end, start) if _any_errors(start, end) else end - start
    return _add(start, _mul(apart, weight) if _any_errors(apart, weight) else apart * weight)


def _any_errors(*operands: Any) -> bool:
    return any(isinstance(operand, WithError) for operand in operands)


@rule("reciprocal")
def _reciprocal(x: WithError) -> WithError:
    return _div(1, x)


@rule("neg")
def _neg(x: WithError) -> WithError:
    return x.like(-x.value, x.error)


@rule("abs")
def _abs(x: WithError) -> WithError:
    return x.like(x.value.abs(), x.error)


@rule("sgn", "sign")
def _sign(x: WithError) -> WithError:
    """The sign is undetermined if the interval contains 0."""
    return x.like(x.value.sign(), torch.where((x.error > 0) & (x.value.abs() <= x.error), 2.0, 0.0))


@rule("square")
def _square(x: WithError) -> WithError:
    return _rounded(x, x.value**2, (2 * x.value.abs() + x.error) * x.error)


@rule("pow")
def _pow(x: Any, power: Any) -> WithError:
    """The derivative p·xᵖ⁻¹ is largest at one end of the interval."""
    if not isinstance(x, WithError) or isinstance(power, Tensor):
        raise NoRule("a power that is not a number")
    if power == 2:
        return _square(x)
    if power in (0.5, -0.5):
        return _sqrt(x) if power > 0 else _rsqrt(x)
    most, least = x.value.abs() + x.error, (x.value.abs() - x.error).clamp(min=0)
    slope = abs(power) * torch.maximum(most ** (power - 1), least ** (power - 1))
    carried = torch.where(x.error > 0, slope * x.error, 0.0)
    return _rounded(x, x.value**power, carried, FUNCTION_ERROR + abs(power))


# ---- functions of one number with a known derivative over the interval


@rule("sqrt")
def _sqrt(x: WithError) -> WithError:
    """|√(a + e) − √a| ≤ min(e/√a, √e)."""
    root = x.value.sqrt()
    carried = torch.where(root > 0, torch.minimum(x.error / root, x.error.sqrt()), x.error.sqrt())
    return _rounded(x, root, carried, SQRT_ERROR)


@rule("rsqrt")
def _rsqrt(x: WithError) -> WithError:
    return _reciprocal(_sqrt(x))


@rule("exp")
def _exp(x: WithError) -> WithError:
    y = x.value.exp()
    return _rounded(x, y, y * x.error.expm1(), FUNCTION_ERROR)


@rule("expm1")
def _expm1(x: WithError) -> WithError:
    return _rounded(x, x.value.expm1(), x.value.exp() * x.error.expm1(), FUNCTION_ERROR)


def _of_logarithm(x: WithError, argument: Tensor, value: Tensor) -> WithError:
    """log(a − e) is farther from log a than log(a + e)."""
    carried = torch.where(x.error < argument, -torch.log1p(-x.error / argument), torch.inf)
    return _rounded(x, value, carried, FUNCTION_ERROR)


@rule("log")
def _log(x: WithError) -> WithError:
    return _of_logarithm(x, x.value, x.value.log())


@rule("log1p")
def _log1p(x: WithError) -> WithError:
    return _of_logarithm(x, 1 + x.value, x.value.log1p())


def _flattening(name: str, slope: Callable[[Tensor], Tensor]) -> None:
    """Functions whose derivative decreases with |x|: it is largest at the end of the interval nearest 0."""

    @rule(name)
    def of(x: WithError) -> WithError:
        nearest = (x.value.abs() - x.error).clamp(min=0)
        return _rounded(x, getattr(aten, name)(x.value), x.error * slope(nearest), FUNCTION_ERROR)


_flattening("tanh", lambda t: 1 - t.tanh() ** 2)
_flattening("sigmoid", lambda t: t.sigmoid() * (-t).sigmoid())
_flattening("erf", lambda t: 2 / math.sqrt(math.pi) * torch.exp(-(t**2)))
_flattening("erfc", lambda t: 2 / math.sqrt(math.pi) * torch.exp(-(t**2)))
_flattening("atan", lambda t: 1 / (1 + t**2))
_flattening("sin", torch.ones_like)
_flattening("cos", torch.ones_like)

# ---- sums


def _summed(like: WithError, terms: float, operation: Callable[[Tensor], Tensor], x: WithError) -> WithError:
    """An operation that adds at most `terms` numbers, each times a factor; all factors have one sign."""
    carried = operation(x.error).abs() + gamma(terms, like.u) * operation(sizes(x, like)).abs()
    return like.like(operation(numbers(x, like)[0]), carried)


@rule("sum")
def _sum(x: WithError, *args: Any, **kwargs: Any) -> WithError:
    terms = x.numel() / max(1, aten.sum(x.value, *args, **kwargs).numel())
    return _summed(x, terms, lambda t: aten.sum(t, *args, **kwargs), x)


@rule("mean")
def _mean(x: WithError, *args: Any, **kwargs: Any) -> WithError:
    terms = x.numel() / max(1, aten.mean(x.value, *args, **kwargs).numel())
    return _summed(x, terms + ROUNDINGS, lambda t: aten.mean(t, *args, **kwargs), x)


@rule("cumsum")
def _cumsum(x: WithError, dim: int, **kwargs: Any) -> WithError:
    terms = x.shape[dim] if x.ndim else 1
    return _summed(x, terms, lambda t: aten.cumsum(t, dim, **kwargs), x)


@rule("var")
def _var(x: WithError, *args: Any, **kwargs: Any) -> WithError:
    return _var_mean(x, *args, **kwargs)[0]


@rule("var_mean")
def _var_mean(
    x: WithError, dim: Any = None, unbiased: bool = True, keepdim: bool = False, *, correction: Any = None
) -> tuple[WithError, WithError]:
    """From deviations, or by Welford's updates, which lose n·u·max|x|/σ; see parity/rows/normalization.py.

    An error e in the mean adds e² to the variance, since the sum of the deviations is 0.
    """
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    correction = int(unbiased) if correction is None else correction
    axes = list(range(x.ndim)) if dim is None or dim == [] else dim
    mean = _mean(x, axes, True)
    deviation = x.value - mean.value
    var = (deviation**2).mean(axes, True)
    count = x.numel() / max(1, mean.numel())
    largest = sizes(x, x).amax(axes, True) if x.numel() else mean.value
    carried = ((2 * deviation.abs() + x.error) * x.error).mean(axes, True) + mean.error**2
    error = carried + gamma(count + 4, x.u) * (var + carried + largest * var.sqrt())
    found = x.like(var, error)
    if correction != 0:
        found = _mul(found, count / (count - correction) if count > correction else math.nan)
    return tuple(t if keepdim else t.squeeze(axes) for t in (found, mean))  # type: ignore[return-value]


# ---- sums of products


def _bilinear(operation: Callable[[Tensor, Tensor], Tensor], a: Any, b: Any, terms: float) -> WithError:
    like = first(a, b)
    (left, left_error), (right, right_error) = numbers(a, like), numbers(b, like)
    carried = torch.zeros((), dtype=torch.float64)
    if left_error.any():
        carried = operation(left_error, right.abs() + right_error)
    if right_error.any():
        carried = carried + operation(left.abs(), right_error)
    size = operation(left.abs() + left_error, right.abs() + right_error)
    # Each product may fall below the smallest normal number, and become 0.
    return like.like(operation(left, right), carried + gamma(terms, like.u) * size + terms * like.tiny)


@rule("mm")
def _mm(a: Any, b: Any) -> WithError:
    return _bilinear(aten.mm, a, b, a.shape[-1])


@rule("bmm")
def _bmm(a: Any, b: Any) -> WithError:
    return _bilinear(aten.bmm, a, b, a.shape[-1])


@rule("convolution")
def _convolution(x: Any, w: Any, bias: Any, *geometry: Any) -> WithError:
    """`geometry`: stride, padding, dilation, transposed, output_padding, groups."""
    transposed, groups = geometry[3], geometry[5]
    terms = w[:, 0].numel() // groups if transposed else w[0].numel()
    y = _bilinear(lambda a, b: aten.convolution(a, b, None, *geometry), x, w, terms + 1)
    return y if bias is None else _add(y, bias.reshape(-1, *(1,) * (y.ndim - 2)))


@rule("convolution_backward")
def _convolution_backward(dy: Any, x: Any, w: Any, _sizes: Any, *rest: Any) -> Any:
    """`rest`: the geometry, and which of the three gradients are needed."""
    *geometry, wanted = rest
    transposed, groups = geometry[3], geometry[5]
    like = first(dy, x, w)
    x_value, w_value = parts(x, like)[0], parts(w, like)[0]

    def of(place: int) -> Callable[[Tensor, Tensor], Tensor]:
        mask = [place == i for i in range(3)]
        if place == 0:
            return lambda d, v: aten.convolution_backward(d, x_value, v, None, *geometry, mask)[0]
        return lambda d, v: aten.convolution_backward(d, v, w_value, None, *geometry, mask)[1]

    dx = dw = db = None
    if wanted[0]:
        dx = _bilinear(of(0), dy, w, w[0].numel() if transposed else w[:, 0].numel() // groups)
    if wanted[1]:
        dw = _bilinear(of(1), dy, x, (x if transposed else dy)[:, :1].numel())
    if wanted[2]:
        db = _sum(dy, [axis for axis in range(dy.ndim) if axis != 1])
    return dx, dw, db


# ---- windows


@rule("avg_pool2d")
def _avg_pool2d(x: WithError, kernel: list[int], *args: Any) -> WithError:
    return _summed(x, math.prod(kernel) + ROUNDINGS, lambda t: aten.avg_pool2d(t, kernel, *args), x)


@rule("avg_pool2d_backward")
def _avg_pool2d_backward(dy: WithError, x: Any, kernel: list[int], *args: Any) -> WithError:
    x = parts(x, dy)[0]
    backward = aten.avg_pool2d_backward
    return _summed(dy, math.prod(kernel) + ROUNDINGS, lambda t: backward(t, x, kernel, *args), dy)


@rule("_adaptive_avg_pool2d")
def _adaptive_avg_pool2d(x: WithError, size: list[int]) -> WithError:
    terms = x.shape[-1] * x.shape[-2] + ROUNDINGS
    return _summed(x, terms, lambda t: aten._adaptive_avg_pool2d(t, size), x)


@rule("_adaptive_avg_pool2d_backward")
def _adaptive_avg_pool2d_backward(dy: WithError, x: Any) -> WithError:
    x, terms = parts(x, dy)[0], dy.shape[-1] * dy.shape[-2] + ROUNDINGS
    return _summed(dy, terms, lambda t: aten._adaptive_avg_pool2d_backward(t, x), dy)


@rule("upsample_nearest2d_backward")
def _upsample_nearest2d_backward(dy: WithError, *args: Any) -> WithError:
    terms = dy.shape[-1] * dy.shape[-2]
    return _summed(dy, terms, lambda t: aten.upsample_nearest2d_backward(t, *args), dy)


@rule("replication_pad2d_backward")
def _replication_pad2d_backward(dy: WithError, x: Any, padding: list[int]) -> WithError:
    x, terms = parts(x, dy)[0], dy.shape[-1] * dy.shape[-2]
    return _summed(dy, terms, lambda t: aten.replication_pad2d_backward(t, x, padding), dy)


def _interpolating(name: str) -> None:
    """Linear interpolation: the error of a coordinate, and of a weight, is a rounding of the image's size."""

    @rule(name)
    def of(x: WithError, *args: Any) -> WithError:
        operation = getattr(aten, name)
        y = _summed(x, 4 + 4 * ROUNDINGS, lambda t: operation(t, *args), x)
        reach = gamma(4 * sum(max(a, b) for a, b in zip(x.shape[-2:], y.shape[-2:], strict=True)), x.u)
        plane = sizes(x, x)
        most = plane.sum((-2, -1), True) if "backward" in name else plane.amax((-2, -1), True)
        return y.like(y.value, y.error + reach * most)


_interpolating("upsample_bilinear2d")
_interpolating("upsample_bilinear2d_backward")


@rule("adaptive_max_pool2d")
def _adaptive_max_pool2d(x: WithError, size: list[int]) -> tuple[WithError, Tensor]:
    y, indices = aten.adaptive_max_pool2d(x.value, size)
    return x.like(y, aten.adaptive_max_pool2d(x.error, size)[0]), indices


@rule("adaptive_max_pool2d_backward")
def _adaptive_max_pool2d_backward(dy: WithError, x: Any, indices: Tensor) -> WithError:
    value, error = parts(x, dy)
    if error.any():
        raise NoRule("a maximum of numbers that are rounded")
    backward = aten.adaptive_max_pool2d_backward
    return _summed(dy, dy.shape[-1] * dy.shape[-2], lambda t: backward(t, value, indices), dy)


@rule("max_pool2d_with_indices")
def _max_pool2d(x: WithError, *args: Any) -> tuple[WithError, Tensor]:
    """The maximum changes by at most the largest error of its operands."""
    y, indices = aten.max_pool2d_with_indices(x.value, *args)
    return x.like(y, aten.max_pool2d_with_indices(x.error, *args)[0]), indices


@rule("max_pool2d_with_indices_backward")
def _max_pool2d_backward(dy: Any, x: Any, *geometry_and_indices: Any) -> WithError:
    """If rounding may decide the maximum, a window's cotangent may go to any of its pixels, or to none."""
    like = first(dy, x)
    value, error = parts(x, like)
    *geometry, indices = geometry_and_indices  # kernel, stride, padding, dilation, ceil_mode
    dy = dy if isinstance(dy, WithError) else like.like(*parts(dy, like))
    dx = _summed(
        like,
        math.prod(geometry[0]),
        lambda t: aten.max_pool2d_with_indices_backward(t, value, *geometry, indices),
        dy,
    )
    doubt = _in_doubt(value, error, indices, geometry)
    if not doubt.any():
        return dx
    planes = torch.where(doubt, sizes(dy, like), 0.0).sum((-2, -1), True)
    return dx.like(dx.value, dx.error + planes)


def _in_doubt(x: Tensor, error: Tensor, winners: Tensor, geometry: Any) -> Tensor:
    """The windows in which rounding may change the maximum; exact numbers tie in the same way everywhere."""
    kernel, stride, padding, dilation, _ = geometry
    spans = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    steps, (rows, columns) = stride or kernel, winners.shape[-2:]

    def windows(t: Tensor, outside: float) -> Tensor:
        """(…, oh, ow, kh, kw)"""
        # In ceil_mode a window exceeds the edge by less than its stride.
        margins = [padding[1], padding[1] + steps[1], padding[0], padding[0] + steps[0]]
        t = aten.constant_pad_nd(t, margins, outside)
        t = t.unfold(-2, spans[0], steps[0]).unfold(-2, spans[1], steps[1])
        return t[..., :rows, :columns, :: dilation[0], :: dilation[1]]

    def at_winners(t: Tensor) -> Tensor:
        return t.flatten(-2).gather(-1, winners.flatten(-2)).reshape(winners.shape)[..., None, None]

    reach = windows(x + error, -math.inf) >= at_winners(x - error)
    rivals = reach & (windows(error, 0.0) + at_winners(error) > 0)
    return rivals.sum((-2, -1)) > (at_winners(error) > 0).squeeze((-2, -1))  # a maximum equals itself
