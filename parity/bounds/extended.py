"""Repeats torch's computation of a function in extended precision, with a bound on its error.

`numpy.longdouble` has 64 binary digits on x86 and 113 on some other machines. Torch dispatches each operation of
the function and of autograd's backward pass to `Extended` tensors of such numbers, as it does to `WithError`. Its
error analysis with the smaller roundoff bounds the result's error. Numbers that torch computes outside of the
arrays, such as 1 − β of an optimizer, count as exact. If `longdouble` is float64 (Windows, Apple's ARM), an
operation has no rule, or rounding may decide a comparison, there is no result.
"""

from collections.abc import Callable
from typing import Any, ClassVar

import mpmath  # type: ignore[import-untyped]  # it has no annotations
import numpy as np
import torch

from parity.bounds.derived import BoundInputs, ErrorBounds
from parity.bounds.running import analysed
from parity.bounds.selecting import CONSTANTS, MOVES
from parity.bounds.with_error import Dispatched, NoRule, Registered, Rule, Tensor, aten, to_be_written
from parity.cases.op import Array
from parity.cases.torch_op import buffers

LONG = np.longdouble
LEAST_DIGITS = 10  # bits beyond those of a float64, so that the error is a thousandth of the allowed one
DOUBT = 2.0**-40  # the order of two closer numbers is undecided, unless they are equal


class Extended(Dispatched):
    """A tensor that torch treats as float64, with numbers in extended precision."""

    value: Array
    is_view: bool  # a copy of part of another tensor, which must not be written to

    rules: ClassVar[dict[Any, Rule]] = {}

    @staticmethod
    def __new__(cls, value: Array, is_view: bool = False) -> "Extended":
        value = np.asarray(value, LONG)
        strides = np.empty(value.shape, np.float64).strides
        made: Extended = torch.Tensor._make_wrapper_subclass(
            cls, value.shape, tuple(stride // 8 for stride in strides), dtype=torch.float64
        )
        made.value, made.is_view = value, is_view
        return made


def is_available() -> bool:
    """Whether this machine has a precision above float64."""
    return np.finfo(LONG).nmant >= np.finfo(np.float64).nmant + LEAST_DIGITS


def extended(s: BoundInputs) -> tuple[list[Array | None], ErrorBounds]:
    """The output and the gradients in extended precision, and bounds on their errors.

    Args:
        s: the inputs; their roundoff is replaced.

    Raises:
        NoRule: this machine has no such precision, or torch's computation cannot be repeated in it.
    """
    if not is_available():
        raise NoRule("numpy.longdouble has no more digits than float64 here")

    def given(value: Any) -> Any:
        if not isinstance(value, np.ndarray):
            return value
        return Extended(value) if value.dtype.kind == "f" else torch.from_numpy(np.array(value))

    tensors, skipped = [given(array) for array in s.arrays], buffers(s.like)
    leaves = {
        place: tensor.requires_grad_()
        for place, tensor in enumerate(tensors)
        if isinstance(tensor, Extended) and place not in skipped
    }
    with np.errstate(all="ignore"):
        y = s.like(*tensors, **{name: given(value) for name, value in s.options.items()})
        found: dict[int, Array] = {}
        if y.requires_grad and leaves:
            gradients = torch.autograd.grad(y, [*leaves.values()], given(s.dy), materialize_grads=True)
            found = {place: _numbers(g) for place, g in zip(leaves, gradients, strict=True)}
    kind = np.finfo(LONG)
    errors = analysed(s._replace(u=float(kind.eps) / 2, tiny=0.0), freedom=0.0)
    return [_numbers(y), *(found.get(place) for place in range(len(tensors)))], errors


def _numbers(x: Any) -> Array:
    """Convert an operand to NumPy: extended numbers, integers, booleans or a scalar."""
    if isinstance(x, Extended):
        return x.value
    if isinstance(x, Tensor):
        return np.asarray(x.detach().numpy())
    return np.asarray(LONG(x)) if isinstance(x, float) else np.asarray(x)


def rule(*names: str) -> Callable[[Registered], Registered]:
    """Register a function of Extended tensors as the rule of these operations of torch.ops.aten."""

    def registered(function: Registered) -> Registered:
        Extended.rules.update((getattr(aten, name), function) for name in names)
        return function

    return registered


def _computing(name: str, function: Callable[..., Array]) -> None:
    """A rule from a function of NumPy arrays."""
    rule(name)(lambda *operands: Extended(function(*map(_numbers, operands))))


# ---- arithmetic and functions of one number


@rule("add")
def _add(a: Any, b: Any, *, alpha: Any = 1) -> Extended:
    return Extended(_numbers(a) + _numbers(alpha) * _numbers(b))


@rule("sub")
def _sub(a: Any, b: Any, *, alpha: Any = 1) -> Extended:
    return Extended(_numbers(a) - _numbers(alpha) * _numbers(b))


@rule("rsub")
def _rsub(a: Any, b: Any, alpha: Any = 1) -> Extended:
    return _sub(b, a, alpha=alpha)


@rule("div")
def _div(a: Any, b: Any, *, rounding_mode: str | None = None) -> Extended:
    if rounding_mode is not None:
        raise NoRule(f"a division that rounds to {rounding_mode}")
    return Extended(_numbers(a) / _numbers(b))


@rule("pow")
def _pow(x: Any, power: Any) -> Extended:
    if not isinstance(x, Extended) or isinstance(power, Tensor):
        raise NoRule("a power that is no number")
    return Extended(x.value * x.value if power == 2 else x.value ** LONG(power))


def _sigmoid(x: Array) -> Array:
    e = np.exp(-np.abs(x))
    return np.asarray(np.where(x < 0, e, 1) / (1 + e))


def _erf(x: Array) -> Array:
    """NumPy has no error function."""
    with mpmath.workprec(160):

        def of(number: Any) -> Any:
            high = float(number)
            value = mpmath.erf(mpmath.mpf(high) + float(number - high))
            return LONG(float(value)) + LONG(float(value - float(value)))

        return np.asarray([of(number) for number in x.ravel()], LONG).reshape(x.shape)


_FUNCTIONS: dict[str, Callable[..., Array]] = {
    "mul": np.multiply, "neg": np.negative, "abs": np.abs, "sgn": np.sign, "sign": np.sign, "square": np.square,
    "reciprocal": lambda x: 1 / x, "sqrt": np.sqrt, "rsqrt": lambda x: 1 / np.sqrt(x),
    "exp": np.exp, "expm1": np.expm1, "log": np.log, "log1p": np.log1p, "tanh": np.tanh, "sigmoid": _sigmoid,
    "erf": _erf, "sin": np.sin, "cos": np.cos, "atan": np.arctan, "mm": np.matmul, "bmm": np.matmul,
    "clone": np.array,
}  # fmt: skip
for _name, _function in _FUNCTIONS.items():
    _computing(_name, _function)

# ---- sums


def _axes(x: Array, dim: Any) -> tuple[int, ...] | None:
    """NumPy's axes: a scalar has none, although torch accepts 0 and -1."""
    if dim is None or dim == [] or x.ndim == 0:
        return None
    return (dim,) if isinstance(dim, int) else tuple(dim)


def _reducing(name: str, function: Callable[..., Array]) -> None:
    def reduced(x: Extended, dim: Any = None, keepdim: bool = False, **_: Any) -> Extended:
        return Extended(function(x.value, axis=_axes(x.value, dim), keepdims=keepdim))

    rule(name)(reduced)


for _name in ("sum", "mean", "amax", "amin"):
    _reducing(_name, getattr(np, _name))


@rule("var_mean")
def _var_mean(
    x: Extended, dim: Any = None, unbiased: Any = True, keepdim: bool = False, *, correction: Any = None
) -> tuple[Extended, Extended]:
    if isinstance(dim, bool):
        dim, unbiased = None, dim
    axes, ddof = _axes(x.value, dim), int(unbiased) if correction is None else correction
    return tuple(Extended(f) for f in (
        x.value.var(axis=axes, ddof=ddof, keepdims=keepdim), x.value.mean(axis=axes, keepdims=keepdim)
    ))  # type: ignore[return-value]  # two of them  # fmt: skip


@rule("var")
def _var(x: Extended, *args: Any, **kwargs: Any) -> Extended:
    return _var_mean(x, *args, **kwargs)[0]


# ---- comparisons, which must be certain


def _decided(a: Array, b: Array) -> None:
    """Raise NoRule if rounding may decide which of two numbers is larger."""
    apart = np.abs(a - b)
    if ((apart > 0) & (apart <= DOUBT * np.maximum(np.abs(a), np.abs(b)))).any():
        raise NoRule("a comparison that rounding may decide")


def _comparing(name: str, function: Callable[..., Any]) -> None:
    def compared(a: Any, b: Any) -> Tensor:
        left, right = _numbers(a), _numbers(b)
        _decided(left.astype(LONG), right.astype(LONG))
        return torch.from_numpy(np.asarray(function(left, right)))

    rule(name)(compared)


for _name, _function in {
    "gt": np.greater, "ge": np.greater_equal, "lt": np.less, "le": np.less_equal,
    "eq": np.equal, "ne": np.not_equal,
}.items():  # fmt: skip
    _comparing(_name, _function)


def _is(function: Callable[..., Any]) -> Rule:
    return lambda x: torch.from_numpy(np.asarray(function(x.value)))


for _name, _function in {"isnan": np.isnan, "isinf": np.isinf, "isfinite": np.isfinite}.items():
    rule(_name)(_is(_function))


@rule("where")
def _where(condition: Any, a: Any, b: Any) -> Extended:
    return Extended(np.where(_numbers(condition), _numbers(a), _numbers(b)))


@rule("masked_fill")
def _masked_fill(x: Any, mask: Any, value: Any) -> Extended:
    return _where(mask, value, x)


def _limited(x: Any, low: Any, high: Any) -> Extended:
    """Limits are continuous, so rounding decides nothing."""
    value = _numbers(x)
    for limit, choose in ((low, np.maximum), (high, np.minimum)):
        value = value if limit is None else choose(value, _numbers(limit))
    return Extended(value)


rule("clamp", "hardtanh")(lambda x, low=None, high=None: _limited(x, low, high))
rule("clamp_min", "maximum")(lambda x, low: _limited(x, low, None))
rule("clamp_max", "minimum")(lambda x, high: _limited(x, None, high))
rule("relu")(lambda x: _limited(x, 0, None))

# ---- operations that only move numbers


def _moving(operation: Any) -> Rule:
    """Apply the operation to indices, then select the numbers by these; index 0 stands for a zero."""

    def moved(x: Extended, *args: Any, **kwargs: Any) -> Any:
        places = torch.arange(1, x.value.size + 1).reshape(x.value.shape)
        numbers = np.concatenate([np.zeros(1, LONG), x.value.ravel()])
        found = operation(places, *args, **kwargs)
        if isinstance(found, Tensor):
            return Extended(numbers[found.numpy()], is_view=True)
        return type(found)(Extended(numbers[part.numpy()], is_view=True) for part in found)

    return moved


def _constant(operation: Any) -> Rule:
    return lambda x, *args, **kwargs: Extended(
        operation(torch.empty(x.shape, dtype=torch.float64), *args, **kwargs).numpy()
    )


for _name in MOVES.split():
    if _name != "clone":  # a copy, not a view
        rule(_name)(_moving(getattr(aten, _name)))
for _name in CONSTANTS.split():
    rule(_name)(_constant(getattr(aten, _name)))


@rule("cat")
def _cat(tensors: Any, dim: int = 0) -> Extended:
    return Extended(np.concatenate([*map(_numbers, tensors)], axis=dim))


def _scattering(adds: bool) -> Rule:
    def scattered(x: Any, dim: int, index: Tensor, source: Any, **options: Any) -> Extended:
        if options or (index.ndim and index.shape[dim] != 1):
            raise NoRule("a scatter to several places of an axis, some of which may be the same")
        before = np.array(_numbers(x), LONG)
        target = np.zeros_like(before) if adds else before
        np.put_along_axis(target, index.numpy(), np.broadcast_to(_numbers(source), index.shape), dim)
        return Extended(before + target if adds else target)

    return scattered


rule("scatter")(_scattering(adds=False))
rule("scatter_add")(_scattering(adds=True))


@rule("_to_copy")
def _to_copy(x: Extended, dtype: Any = None, **_: Any) -> Extended:
    if dtype not in (None, torch.float64):
        raise NoRule(f"a conversion to {dtype}")
    return Extended(np.array(x.value))


Extended.rules[torch.ops.prims.convert_element_type] = _to_copy


def _in_place(func: Any, args: Any, kwargs: Any) -> Any:
    """Overwrite the first operand with the result of the operation without the underscore."""
    target = args[0]
    if not isinstance(target, Extended) or target.is_view:
        raise NoRule(f"{func} writes to a constant, or to part of a tensor")
    target, made = to_be_written(func, args, kwargs)
    target.value[...] = _numbers(made)
    return target


Extended.in_place = _in_place
