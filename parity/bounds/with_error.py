"""Tensors that propagate a bound on their error through every operation that torch dispatches to them."""

import math
from collections.abc import Callable
from typing import Any, ClassVar, TypeAlias, TypeVar

import numpy as np
import torch
from torch._decomp import decomposition_table  # torch has no public name for them
from torch.utils._mode_utils import no_dispatch

Tensor = torch.Tensor
Rule: TypeAlias = Callable[..., Any]
Registered = TypeVar("Registered", bound=Rule)
aten = torch.ops.aten


class NoRule(Exception):  # noqa: N818  # not a user's error: another bound is used
    """Torch performs an operation without a rule for error propagation."""


class Dispatched(torch.Tensor):
    """A tensor whose operations are rules of its class, or those of their decomposition."""

    rules: ClassVar[dict[Any, Rule]]  # {operation, all overloads of it: its rule}
    in_place: ClassVar[Rule]  # (operation, arguments, keywords): overwrite an operand

    # All work happens in the dispatcher.
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]  # as torch's own do

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]  # torch annotates it as an instance method
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        """Apply the operation's rule, or the rules of its decomposition.

        Raises:
            NoRule: there is neither.
        """
        kwargs = kwargs or {}
        if func._schema.is_mutable:
            return cls.in_place(func, args, kwargs)
        if rule := cls.rules.get(func.overloadpacket):
            return rule(*args, **kwargs)
        made = (decomposition_table.get(func) or func.decompose)(*args, **kwargs)
        if made is NotImplemented:
            raise NoRule(str(func))
        return made


def to_be_written(func: Any, args: Any, kwargs: Any) -> tuple[Any, Any]:
    """The operand that an operation overwrites, and the result of the operation without the underscore.

    Raises:
        NoRule: there is no such operation.
    """
    name = func.overloadpacket.__name__
    if name in ("copy_", "fill_"):
        return args[0], args[1]
    if name == "zero_":
        return args[0], 0
    if name.endswith("_") and hasattr(aten, name[:-1]):
        return args[0], getattr(aten, name[:-1])(*args, **kwargs)
    if "out" in kwargs:
        return kwargs["out"], func.overloadpacket(*args)
    raise NoRule(str(func))


class WithError(Dispatched):
    """Values in double precision, and bounds on the error of the same computation with roundoff `u`.

    Args:
        value: the numbers.
        error: of the same shape, nonnegative.
        u: the unit roundoff.
        tiny: the smallest normal number, below which results lose digits or become 0.
    """

    value: Tensor
    error: Tensor
    u: float
    tiny: float

    rules: ClassVar[dict[Any, Rule]] = {}

    @staticmethod
    def __new__(cls, value: Tensor, error: Tensor, u: float, tiny: float) -> "WithError":
        made: WithError = torch.Tensor._make_wrapper_subclass(
            cls, value.shape, value.stride(), value.storage_offset(), dtype=value.dtype
        )
        made.value, made.error, made.u, made.tiny = value, error, u, tiny
        return made

    def like(self, value: Tensor, error: Tensor) -> "WithError":
        """Another tensor of the same precision."""
        if error.shape != value.shape:
            error = error.expand(value.shape).contiguous()
        return WithError(value, error, self.u, self.tiny)


def rule(*names: str) -> Callable[[Registered], Registered]:
    """Register a function as the rule of these operations of torch.ops.aten."""

    def registered(function: Registered) -> Registered:
        WithError.rules.update((getattr(aten, name), function) for name in names)
        return function

    return registered


def parts(x: Any, like: WithError) -> tuple[Tensor, Tensor]:
    """Value and error of an operand: a number that float32 cannot represent is rounded first."""
    if isinstance(x, WithError):
        return x.value, x.error
    if isinstance(x, Tensor):
        return x, torch.zeros(x.shape, dtype=torch.float64)
    exact = isinstance(x, int) or not math.isfinite(x) or float(np.float32(x)) == x
    return torch.tensor(x), torch.tensor(0.0 if exact else like.u * abs(x), dtype=torch.float64)


def sizes(x: Any, like: WithError) -> Tensor:
    """The largest absolute values that an operand may have."""
    value, error = parts(x, like)
    return value.double().abs() + error


def numbers(x: Any, like: WithError) -> tuple[Tensor, Tensor]:
    """The same for arithmetic, with booleans as 0 or 1."""
    value, error = parts(x, like)
    return (value.double() if value.dtype == torch.bool else value), error


def first(*operands: Any) -> WithError:
    """The first operand that carries an error."""
    return next(x for x in operands if isinstance(x, WithError))


def _in_place(func: Any, args: Any, kwargs: Any) -> Any:
    """Overwrite the first operand with the result of the operation without the underscore."""
    target, name = args[0], func.overloadpacket.__name__
    if not isinstance(target, WithError):
        raise NoRule(f"{func} writes to a constant")
    if name in ("squeeze_", "unsqueeze_", "transpose_", "t_"):  # these move numbers without writing any
        target.value, target.error = (func(part.clone(), *args[1:]) for part in (target.value, target.error))
        with no_dispatch():
            return func(*args)
    target, made = to_be_written(func, args, kwargs)
    value, error = parts(made, target)
    target.value.copy_(value)  # a view of another tensor shares its values and its errors
    target.error.copy_(error)
    return target


WithError.in_place = _in_place
