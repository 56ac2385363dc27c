"""`parity.assert_close`: compare one result with a torch function, within a derived error bound."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from hypothesis import strategies as st

from parity.api.adhoc import names_of
from parity.cases.errors import ArgumentError
from parity.cases.inputs import Inputs
from parity.cases.op import Array
from parity.cases.sample import sample
from parity.cases.torch_op import oracle
from parity.lanes.bound import referee_and_bounds
from parity.lanes.comparison import Quantities
from parity.rows.registry import ROWS
from parity.rows.row import Row
from parity.running.sandbox import sandboxed

FLOATS = (np.dtype(np.float32), np.dtype(np.float64))


def assert_close(
    mine: Any,
    theirs: Any = None,
    *,
    like: Callable[..., Any],
    args: Sequence[Any],
    kwargs: Mapping[str, Any] | None = None,
    dy: Any = None,
    gradients: Sequence[Any] | None = None,
) -> None:
    """Assert that a result differs from torch's by no more than its error bound.

        parity.assert_close(y, like=torch.nn.functional.conv2d, args=(x, w, b), kwargs={"stride": 2})
        parity.assert_close(y, like=torch.nn.functional.conv2d, args=(x, w, b), dy=dy, gradients=(dx, dw, db))

    There is no rtol and no atol: the error allowed in each entry is derived from the arguments, as in the bound
    lane. For float32 a run in double precision is the reference; for float64 it is torch's own result, and the
    bounds of both sides are added.

    Args:
        mine: the output: a NumPy array, a tensor, or anything that NumPy makes an array of.
        theirs: the result to compare with; what `like` returns if omitted.
        like: the torch function.
        args: its positional arguments, float32 or float64.
        kwargs: its keyword arguments.
        dy: the gradient of some loss with respect to the output; required with `gradients`.
        gradients: one for each array in `args`, in order; None for those that are not to be compared.

    Raises:
        AssertionError: an error exceeds its bound; the message contains the worst one.
        ValueError: the arguments are neither float32 nor float64, or `dy` and `gradients` do not go together.
    """
    if (gradients is None) != (dy is None):
        raise ArgumentError("assert_close: dy and gradients go together: the gradients depend on dy")
    row, names, arrays, options = _call(like, args, kwargs or {})
    if not any(array is not None and array.dtype in FLOATS for array in arrays):
        found = ", ".join("None" if array is None else str(array.dtype) for array in arrays) or "no array"
        raise ArgumentError(f"assert_close: args must have a float32 or float64 array, got {found}")
    given = sum(arg is None or _is_array(arg) for arg in args)
    if gradients is not None and len(gradients) != given:
        raise ArgumentError(f"assert_close: {len(gradients)} gradients for {given} arrays in args")
    inputs = Inputs(tuple(names), tuple(arrays), options, np.random.default_rng(0), 1, False)
    with sandboxed():
        y, pullback = oracle(row.like)(*arrays, **options)
        upstream = np.ones_like(y) if dy is None else _array(dy).astype(y.dtype)
        if upstream.shape != y.shape:
            raise ArgumentError(f"assert_close: dy has the shape {upstream.shape}, the output {y.shape}")
        torchs: Quantities = {"output": y}
        if gradients is not None:
            found_gradients = zip(names, pullback(upstream), strict=True)
            torchs |= {f"grad_{name}": g for name, g in found_gradients if g is not None}
        truth, allowed = referee_and_bounds(row, inputs, upstream, torchs)
    ours = {"output": mine}
    if gradients is not None:
        ours |= {f"grad_{name}": g for name, g in zip(names, gradients, strict=False) if g is not None}
    other = torchs if theirs is None else torchs | {"output": _array(theirs)}
    problems = [_compared(name, _array(got), other, truth, allowed) for name, got in ours.items()]
    if text := "\n".join(problem for problem in problems if problem):
        raise AssertionError(f"{getattr(like, '__name__', 'torch')}: {text}")


def _compared(name: str, got: Array, others: Quantities, truth: Quantities, allowed: Quantities) -> str | None:
    """Describe the error of one quantity; None if it is within its bound."""
    if name not in truth or name not in allowed:
        return f"{name}: torch has no such gradient"
    theirs, right, bound = others[name], truth[name], allowed[name]
    if got.shape != right.shape or theirs.shape != right.shape:
        return f"{name}: yours has the shape {got.shape}, the other {theirs.shape}; torch returns {right.shape}"
    if got.dtype.kind != "f" or np.finfo(got.dtype).eps > np.finfo(theirs.dtype).eps:
        return f"{name}: yours is {got.dtype}, less precise than {theirs.dtype}"
    with np.errstate(all="ignore"):
        outside = ~np.equal(got, right) & ~(np.isnan(got) & np.isnan(right))
        error = np.abs(got.astype(np.float64) - right)
        fraction = np.where(outside, np.where(np.isnan(error), np.inf, error / bound), 0.0)
    wrong = fraction > 1
    if not wrong.any():
        return None
    worst = np.unravel_index(np.argmax(fraction), fraction.shape)
    place = f" at {[int(i) for i in worst]}" if worst else ""
    return (
        f"{name}: {int(wrong.sum())} of {wrong.size} entries differ by more than rounding explains\n"
        f"  worst{place}: yours {got[worst]!s}, the other {theirs[worst]!s}, the reference {right[worst]!s}\n"
        f"  error {error[worst]:.3g} is {fraction[worst]:.3g} times its bound {bound[worst]:.3g}"
    )


def _call(
    like: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[Row, list[str], list[Array | None], dict[str, Any]]:
    """The row with the function's bound, the names of the arrays, the arrays and the options of the call."""
    options = {name: _array(value) if _is_array(value) else value for name, value in kwargs.items()}
    for row in ROWS.values():
        if row.like is like and (bound := _as_in_a_case(row, args, options)) is not None:
            return row, *bound
    is_array = [arg is None or _is_array(arg) for arg in args]
    arrays = [None if arg is None else _array(arg) for arg, one in zip(args, is_array, strict=True) if one]
    if all(is_array):
        return _row(like), names_of(like, len(arrays)), arrays, options

    def called(*tensors: Any, **options: Any) -> Any:  # a number among the arrays, as in dropout(x, 0.5)
        left = iter(tensors)
        return like(*[next(left) if one else arg for arg, one in zip(args, is_array, strict=True)], **options)

    return _row(called), names_of(called, len(arrays)), arrays, options


def _as_in_a_case(
    row: Row, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> tuple[list[str], list[Array | None], dict[str, Any]] | None:
    """The call with every option, as in the row's cases; None if it has options that the row lacks."""
    (case,) = sample(row.strategy(lane=row.lanes[0]), 1)
    try:
        call = inspect.signature(row.op).bind(*args, **kwargs)
    except TypeError:
        return None
    call.apply_defaults()
    values = [*call.arguments.items()]
    names = [spec.name for spec in case.arrays if not spec.keyword]
    arrays = [None if value is None else _array(value) for _, value in values[: len(names)]]
    options = {name: _array(value) if _is_array(value) else value for name, value in values[len(names) :]}
    known = {*case.options, *(spec.name for spec in case.arrays if spec.keyword)}
    return (names, arrays, {name: options[name] for name in known}) if known <= options.keys() else None


def _row(like: Callable[..., torch.Tensor]) -> Row:
    return Row(getattr(like, "__name__", "like"), like, like, lambda lane: st.nothing())  # noqa: ARG005  # draws none


def _is_array(value: Any) -> bool:
    return isinstance(value, (np.ndarray, torch.Tensor)) or hasattr(value, "__array__")


def _array(value: Any) -> Array:
    return np.asarray(value.detach().cpu().numpy() if isinstance(value, torch.Tensor) else value)
