"""Rules of operations that move, compare and select numbers.

If rounding may reverse a comparison, its result is undetermined (an error of 1), and either operand may be
selected.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch

from parity.bounds.derived import gamma
from parity.bounds.with_error import NoRule, Rule, Tensor, WithError, aten, first, parts, rule, sizes

# ---- operations that only move numbers


def _moving(operation: Any) -> Rule:
    def moved(x: WithError, *args: Any, **kwargs: Any) -> Any:
        values, errors = operation(x.value, *args, **kwargs), operation(x.error, *args, **kwargs)
        if isinstance(values, Tensor):
            return x.like(values, errors)
        return type(values)(map(x.like, values, errors))

    return moved


def _constant(operation: Any) -> Rule:
    def constant(x: WithError, *args: Any, **kwargs: Any) -> WithError:
        value = operation(x.value, *args, **kwargs)
        return x.like(value, torch.zeros(value.shape, dtype=torch.float64))

    return constant


MOVES = """view _unsafe_view reshape _reshape_alias permute transpose t expand slice select squeeze unsqueeze
    clone detach alias contiguous as_strided flip roll repeat unfold diagonal tril triu index gather index_select
    split split_with_sizes unbind slice_backward select_backward diagonal_backward upsample_nearest2d"""
CONSTANTS = "zeros_like ones_like empty_like new_zeros new_empty new_ones full_like new_full"
for _name in MOVES.split():
    rule(_name)(_moving(getattr(aten, _name)))
for _name in CONSTANTS.split():
    rule(_name)(_constant(getattr(aten, _name)))


@rule("cat")
def _cat(tensors: Sequence[Any], dim: int = 0) -> WithError:
    like = first(*tensors)
    values, errors = zip(*(parts(t, like) for t in tensors), strict=True)
    return like.like(torch.cat(values, dim), torch.cat(errors, dim))


@rule("constant_pad_nd")
def _pad(x: WithError, pad: list[int], value: float = 0) -> WithError:
    return x.like(aten.constant_pad_nd(x.value, pad, value), aten.constant_pad_nd(x.error, pad))


@rule("_to_copy")
def _to_copy(x: WithError, dtype: Any = None, **_: Any) -> WithError:
    """Between booleans and numbers; a conversion to another floating precision would round differently."""
    if x.dtype == torch.float64 and dtype not in (None, torch.float64):
        raise NoRule(f"a conversion to {dtype}")
    return x.like(x.value.to(dtype or x.dtype, copy=True), x.error.clone())


WithError.rules[torch.ops.prims.convert_element_type] = _to_copy


def _putting(operation: Any, source: int, adds: Callable[..., bool]) -> Rule:
    """Operations that write the operand `source` to positions of the first operand, or add it there."""

    def put(*args: Any, **kwargs: Any) -> WithError:
        like = first(args[0], args[source])

        def of(part: Callable[[Any], Tensor]) -> Tensor:
            changed = [*args]
            for place in (0, source):
                if isinstance(args[place], Tensor):
                    changed[place] = part(args[place])
                elif part is errors:
                    changed[place] = 0
            return operation(*changed, **kwargs)  # type: ignore[no-any-return]

        def errors(x: Any) -> Tensor:
            return parts(x, like)[1]

        carried = of(errors)
        if adds(*args, **kwargs):
            terms = args[source].numel() + 1
            carried = carried + gamma(terms, like.u) * of(lambda x: sizes(x, like))
        return like.like(of(lambda x: parts(x, like)[0]), carried)

    return put


rule("scatter")(_putting(aten.scatter, 3, lambda *args, reduce=None, **_: len(args) > 4 or reduce is not None))
rule("scatter_add")(_putting(aten.scatter_add, 3, lambda *_: True))
rule("index_add")(_putting(aten.index_add, 3, lambda *_, **__: True))
rule("index_put", "_unsafe_index_put")(
    _putting(aten.index_put, 2, lambda *args, accumulate=False: accumulate or (len(args) > 3 and args[3]))
)

# ---- comparisons and choices


def _comparing(operation: Any) -> Rule:
    def compared(a: Any, b: Any) -> WithError:
        like = first(a, b)
        (left, left_error), (right, right_error) = parts(a, like), parts(b, like)
        doubt = left_error + right_error
        return like.like(
            operation(left, right), (((left.double() - right.double()).abs() <= doubt) & (doubt > 0)).double()
        )

    return compared


for _name in ["gt", "ge", "lt", "le", "eq", "ne"]:
    rule(_name)(_comparing(getattr(aten, _name)))


def _of_truths(operation: Any) -> Rule:
    def combined(*operands: Any) -> WithError:
        like = first(*operands)
        values, errors = zip(*(parts(x, like) for x in operands), strict=True)
        value = operation(*values)
        return like.like(value, sum(e.expand(value.shape) for e in errors).clamp(max=1))

    return combined


for _name in ["logical_not", "logical_and", "logical_or", "bitwise_not", "bitwise_and", "bitwise_or"]:
    rule(_name)(_of_truths(getattr(aten, _name)))


@rule("where")
def _where(condition: Any, a: Any, b: Any) -> WithError:
    like = first(condition, a, b)
    (chosen, doubt), (left, left_error), (right, right_error) = (parts(x, like) for x in (condition, a, b))
    error = torch.where(chosen, left_error, right_error)
    apart = torch.maximum(left_error, right_error) + (left.double() - right.double()).abs()
    return like.like(torch.where(chosen, left, right), torch.where(doubt > 0, apart, error))


@rule("masked_fill")
def _masked_fill(x: Any, mask: Any, value: Any) -> WithError:
    return _where(mask, value, x)


@rule("maximum", "fmax")
def _maximum(a: Any, b: Any) -> WithError:
    like = first(a, b)
    (left, left_error), (right, right_error) = parts(a, like), parts(b, like)
    return like.like(torch.maximum(left, right), torch.maximum(left_error, right_error))


@rule("minimum", "fmin")
def _minimum(a: Any, b: Any) -> WithError:
    found: WithError = -_maximum(-a, -b)  # type: ignore[assignment]  # negation has a rule
    return found


@rule("clamp", "hardtanh")
def _clamp(x: WithError, least: Any = None, most: Any = None) -> WithError:
    """A number changes by at most its error, and a number beyond the limits does not change."""
    (low, _), (high, _) = (parts(torch.inf if limit is None else limit, x) for limit in (least, most))
    low = -low if least is None else low
    beyond = (x.value + x.error < low) | (x.value - x.error > high)
    return x.like(x.value.clamp(low, high), torch.where(beyond, 0.0, x.error))


@rule("clamp_min")
def _clamp_min(x: WithError, least: Any) -> WithError:
    return _clamp(x, least)


@rule("clamp_max")
def _clamp_max(x: WithError, most: Any) -> WithError:
    return _clamp(x, None, most)


@rule("relu")
def _relu(x: WithError) -> WithError:
    return _clamp(x, 0)


def _extreme(operation: Any, largest: Any) -> Rule:
    """A maximum or minimum changes by at most the largest error."""

    def extreme(x: WithError, *args: Any, **kwargs: Any) -> Any:
        value = operation(x.value, *args, **kwargs)
        if isinstance(value, Tensor):
            return x.like(value, largest(x.error, *args, **kwargs))
        if bool((x.error > 0).any()):
            raise NoRule(f"{operation}: rounding may decide between places")
        return x.like(value[0], torch.zeros_like(value[0])), value[1]

    return extreme


for _name in ["amax", "amin", "max", "min"]:
    rule(_name)(_extreme(getattr(aten, _name), aten.amax if _name.startswith("am") else aten.max))
for _name in ["sort", "topk", "cummax", "cummin", "mode", "median", "kthvalue"]:
    rule(_name)(_extreme(getattr(aten, _name), None))


def _of_exact_numbers(operation: Any) -> Rule:
    """Step functions and indices, which are known only if rounding cannot change them."""

    def stepped(x: WithError, *args: Any, **kwargs: Any) -> Any:
        if bool((x.error > 0).any()):
            raise NoRule(f"{operation} of numbers that are rounded")
        found = operation(x.value, *args, **kwargs)
        return x.like(found, torch.zeros_like(found)) if found.dtype == torch.float64 else found

    return stepped


for _name in ["floor", "ceil", "round", "trunc", "argmax", "argmin", "isnan", "isinf", "isfinite"]:
    rule(_name)(_of_exact_numbers(getattr(aten, _name)))
