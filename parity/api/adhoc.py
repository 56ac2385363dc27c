"""Rows for ops that are not in the registry, with any torch function as the oracle."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np
import torch
from hypothesis import strategies as st

from parity.cases.case import ArraySpec, Case, Lane
from parity.cases.errors import ArgumentError
from parity.cases.sample import sample
from parity.cases.sizes import DTYPES, SEEDS
from parity.cases.torch_op import oracle
from parity.lanes.exact import guard
from parity.lanes.reference import expect
from parity.rows.row import NEITHER, Row
from parity.subjects import Declined, Implementation
from parity.subjects.arguments import parameters_of

# A rank; or axes, each a size or a name with the same size in all arrays; or all arrays as text: "n c h w, c".
Shapes: TypeAlias = str | Sequence[int | str | Sequence[int | str]]

MOST = 4  # entries along a generated axis
TRIALS = 25
NAMES = ("input", "other", "third", "fourth", "fifth")
_DRAWS = (
    "strategy must draw a list of shapes, one per array, as in st.just([(2, 3), (3,)]), a pair (shapes, options) "
    "or a parity Case"
)


def row_like(
    name: str,
    implementation: Any,
    like: Callable[..., torch.Tensor],
    *,
    shapes: Shapes | None = None,
    strategy: Any = None,
    options: Mapping[str, Any] | None = None,
) -> Row:
    """Return a row whose oracle is `like`.

    Args:
        name: any.
        implementation: in any form that `adapt` recognises.
        like: a function of tensors, in the order of the arrays; autograd differentiates it.
        shapes: of the positional arrays, as "n c h w, c" or [("n", 3), 2]. If omitted: as many arrays as `like` or
            the implementation requires, all of one shape with up to three axes.
        strategy: a Hypothesis strategy instead: of cases, of lists of shapes, or of pairs (shapes, options).
        options: keywords for both sides; a value may be a strategy.

    Returns:
        a row with the lanes bound and structure, and exact if integers come out of `like` exactly.
    """
    if strategy is None:
        drawn: Callable[..., st.SearchStrategy[Case]] = _strategy_of(
            name, implementation, like, shapes, options or {}
        )
    else:
        drawn = _given(name, strategy, like, options or {})
        if not sample(drawn(lane="bound"), 1):
            raise ArgumentError(f"strategy {strategy!r} has no case")
    polite = _polite(like)
    row = _PoliteRow(name, implementation, polite, drawn, lanes=NEITHER, views=True)
    if _is_exact(row):
        exact = replace(row, strategy=lambda lane: _where_exact(row, drawn(lane=lane), lane))
        return replace(exact, lanes=("exact", "bound", "structure"))
    return row


class _PoliteRow(Row):
    """A row whose oracle declines a case that it rejects."""

    def valid(self, case: Case) -> bool:
        try:
            return super().valid(case)
        except Declined:
            return False


def _polite(like: Callable[..., torch.Tensor]) -> Callable[..., torch.Tensor]:
    """Wrap `like` so that a case it rejects is declined."""

    def called(*tensors: Any, **options: Any) -> torch.Tensor:
        try:
            y = like(*tensors, **options)
        except (RuntimeError, ValueError, IndexError, NotImplementedError) as error:
            text = " ".join(str(error).split())[:200]
            raise Declined(f"{getattr(like, '__name__', 'the oracle')} itself rejects it: {text}") from error
        except TypeError as error:
            raise ArgumentError(f"like cannot be called with the arrays and options of a case: {error}") from error
        if not isinstance(y, torch.Tensor):
            raise TypeError(
                f"like= must return a tensor, got {type(y).__name__}; a lambda may choose one of several"
            )
        return y

    return called


def _strategy_of(
    name: str, implementation: Any, like: Callable[..., Any], shapes: Shapes | None, options: Mapping[str, Any]
) -> Callable[..., st.SearchStrategy[Case]]:
    axes = None if shapes is None else _parsed(shapes)
    count = _arrays(implementation, like) if axes is None else len(axes)
    names = names_of(like, count)

    @st.composite
    def cases(draw: st.DrawFn, lane: Lane) -> Case:
        least = 0 if lane == "structure" else 1
        sizes: dict[str, int] = {}

        def size(axis: int | str) -> int:
            if isinstance(axis, int):
                return axis
            if axis not in sizes:
                sizes[axis] = draw(st.integers(least, MOST))
            return sizes[axis]

        if axes is None:
            rank = draw(st.integers(1, 3))
            given = [tuple(size(str(i)) for i in range(rank))] * count
        else:
            given = [tuple(size(axis) for axis in array) for array in axes]
        drawn = {key: draw(v) if isinstance(v, st.SearchStrategy) else v for key, v in options.items()}
        arrays = tuple(ArraySpec(n, shape) for n, shape in zip(names, given, strict=True))
        return Case(name, arrays, drawn, draw(DTYPES), draw(st.integers(1, 8)), draw(SEEDS))

    return cases


def _given(
    name: str, strategy: Any, like: Callable[..., Any], options: Mapping[str, Any]
) -> Callable[..., st.SearchStrategy[Case]]:
    def cases(lane: Lane) -> st.SearchStrategy[Case]:
        chosen = _of_lane(strategy, lane)

        @st.composite
        def case(draw: st.DrawFn) -> Case:
            drawn = draw(chosen)
            if isinstance(drawn, Case):
                return replace(drawn, row=name)
            pair = isinstance(drawn, tuple) and len(drawn) == 2 and isinstance(drawn[1], Mapping)
            shapes, more = drawn if pair else (drawn, {})
            if not _are_shapes(shapes):
                raise ArgumentError(f"{_DRAWS}; it drew {drawn!r}")
            plain = {key: draw(v) if isinstance(v, st.SearchStrategy) else v for key, v in options.items()}
            names = names_of(like, len(shapes))
            arrays = tuple(
                ArraySpec(n, None if shape is None else tuple(shape))
                for n, shape in zip(names, shapes, strict=True)
            )
            return Case(name, arrays, {**plain, **more}, draw(DTYPES), draw(st.integers(1, 8)), draw(SEEDS))

        return case()

    return cases


def _of_lane(strategy: Any, lane: Lane) -> st.SearchStrategy[Any]:
    """The strategy itself, or the one that a function returns for this lane.

    Raises:
        ArgumentError: it is neither.
    """
    if isinstance(strategy, st.SearchStrategy):
        return strategy
    expected = "strategy must be a Hypothesis strategy, or a function f(lane=…) that returns one"
    if not callable(strategy):
        raise ArgumentError(f"{expected}; got {strategy!r}")
    if "lane" not in (names := [p.name for p in parameters_of(strategy) or ()]):
        raise ArgumentError(f"{expected}; got one of {', '.join(names) or 'no argument'}")
    made = strategy(lane=lane)
    if not isinstance(made, st.SearchStrategy):
        raise ArgumentError(f"{expected}; for lane={lane!r} it returned {made!r}")
    return made


def _are_shapes(drawn: Any) -> bool:
    """Whether a value is a list of shapes; None is an omitted array."""
    return isinstance(drawn, (list, tuple)) and all(
        shape is None
        or (isinstance(shape, (list, tuple)) and all(isinstance(size, int) and size >= 0 for size in shape))
        for shape in drawn
    )


def _parsed(shapes: Shapes) -> list[list[int | str]]:
    """Parse the axes of each array: sizes and names."""
    if isinstance(shapes, str):
        for axis in shapes.replace(",", " ").split():
            if not (axis.isdecimal() or axis.isidentifier()):
                raise ArgumentError(
                    f"shapes {shapes!r}: {axis!r} is no size or name of an axis, as in 'n c 3 3, c'"
                )
        return [[int(a) if a.isdecimal() else a for a in array.split()] for array in shapes.split(",")]
    parsed: list[list[int | str]] = []
    for place, array in enumerate(shapes):
        if isinstance(array, int):
            parsed.append([f"{place}.{axis}" for axis in range(array)])
        elif isinstance(array, str):
            parsed += _parsed(array)
        else:
            parsed.append(list(array))
    return parsed


def _arrays(implementation: Any, like: Callable[..., Any]) -> int:
    """The number of required arrays, from the first of the two that has a signature."""
    written = implementation.written if isinstance(implementation, Implementation) else implementation
    forward = written[0] if isinstance(written, (tuple, list)) else written
    candidates = [like] if inspect.isclass(written) else [like, forward]
    for function in candidates:
        parameters = parameters_of(function)
        if parameters is not None and not any(p.kind is p.VAR_POSITIONAL for p in parameters):
            return max(1, sum(p.default is p.empty and p.kind is not p.KEYWORD_ONLY and p.kind is not p.VAR_KEYWORD
                              for p in parameters))  # fmt: skip
    return 1


def names_of(like: Callable[..., Any], count: int) -> list[str]:
    """Torch's names of the first `count` arguments; input, other, … if it has none."""
    parameters = parameters_of(like) or ()
    names = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if len(names) < count:
        names = [*NAMES, *(f"array{i}" for i in range(len(NAMES), count))]
    return ["input" if name == "x" else name for name in names[:count]]


def _is_exact(row: Row) -> bool:
    """Whether torch's results on sample integer cases are small dyadic numbers, equal in both precisions."""
    try:
        cases = sample(row.strategy(lane="exact"), TRIALS)
        return bool(cases) and all(_exact_on(row, case) for case in cases)
    except Declined:
        return False


def _where_exact(row: Row, strategy: st.SearchStrategy[Case], lane: Lane) -> st.SearchStrategy[Case]:
    return strategy.filter(lambda case: _exact_on(row, case)) if lane == "exact" else strategy


def _exact_on(row: Row, case: Case) -> bool:
    expected = expect(row, case, "exact")
    arrays, options = expected.inputs.in_float64()
    y, pullback = oracle(row.like)(*arrays, **options)
    wide = [y, *(g for g in pullback(expected.dy.astype(np.float64)) if g is not None)]
    try:
        guard(row, expected.inputs)
    except AssertionError:
        return False
    return all(
        np.array_equal(a, b) and np.array_equal(b * 2**8, np.rint(b * 2**8)) and np.abs(b).max(initial=0) < 2**20
        for a, b in zip(expected.theirs.values(), wide, strict=True)
    )
