"""Resolve the row and the restrictions of a call."""

from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any

from parity.api.adhoc import Shapes, row_like
from parity.api.checked import Checked, Own, require_implementation
from parity.api.defaults import Defaults
from parity.cases.errors import ArgumentError, UnknownRowError
from parity.cases.restrict import Supports
from parity.rows.double_backward import SUFFIX, double_backward
from parity.rows.registry import ROWS
from parity.rows.row import Row
from parity.running.restrictions import words_of
from parity.subjects import Unrecognised
from parity.subjects.double_backward import NONE_OFFERED


def row_named(name: str) -> Row:
    """Return the row of this name.

    Raises:
        UnknownRowError: there is no such row; the message lists all rows.
    """
    if name not in ROWS:
        near = get_close_matches(name, ROWS, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise UnknownRowError(f"there is no row {name!r}{hint} (rows: {', '.join(ROWS)})")
    return ROWS[name]


def row_for(
    name: str,
    implementation: Checked,
    like: Callable[..., Any] | None = None,
    *,
    shapes: Shapes | None = None,
    strategy: Any = None,
    options: Mapping[str, Any] | None = None,
) -> Row:
    """The registry's row, or one with `like` as its oracle; see `parity.check` for the arguments.

    Raises:
        UnknownRowError: the registry has no such row.
        TypeError: an argument belongs to `like`, which is missing, or there is nothing to compare with it.
    """
    require_implementation(name, implementation)
    if name.endswith(SUFFIX):  # a failure of second=True that is run again
        first = row_for(name.removesuffix(SUFFIX), implementation, like, shapes=shapes)
        return second_derivatives(first, implementation)
    if like is None:
        if shapes is not None or strategy is not None or options is not None:
            raise TypeError("shapes, strategy and options belong to like=…; a row of the registry has its own")
        return row_named(name)
    if not callable(like):
        raise TypeError(f"like must be a function of tensors, as in torch.nn.functional.gelu; got {like!r}")
    if isinstance(implementation, Own):
        raise TypeError(
            f"like=… needs an implementation to compare with it: parity.check({name!r}, my_op, like=…)"
        )
    return row_like(name, implementation, like, shapes=shapes, strategy=strategy, options=options)


def second_derivatives(row: Row, implementation: Checked) -> Row:
    """Return the row of the backward pass of an op.

    Raises:
        Unrecognised: numpy_cnn's own op has no second derivatives.
        ArgumentError: the row is not that of an op.
    """
    if row.kind != "op":
        raise ArgumentError(f"second=True applies only to ops; the kind of {row.name} is {row.kind}")
    if isinstance(implementation, Own):
        raise Unrecognised(f"numpy_cnn's own {row.name}: {NONE_OFFERED}")
    return double_backward(row)


def check_rows(defaults: Defaults, name: str) -> None:
    """Raise ArgumentError if pyproject.toml has values for a row that is a misspelled one of the registry.

    Other names may be those of ops that are checked with like=….
    """
    for row in defaults.rows.keys() - ROWS.keys() - {name}:
        near = get_close_matches(row, ROWS, n=1, cutoff=0.75)
        if near:
            raise ArgumentError(f"[tool.parity.rows.{row}]: there is no row {row!r}; did you mean {near[0]}?")


def supports_for(row: Row, given: Supports | None, defaults: Defaults) -> Supports | None:
    """Merge the restrictions of a call into those of pyproject.toml that apply to the row.

    Raises:
        ArgumentError: pyproject.toml has a keyword that applies to no row.
    """
    if callable(given):
        return given
    if given is not None and not isinstance(given, Mapping):
        raise ArgumentError(
            f"supports must be a dict or a function of a case, got {type(given).__name__} {given!r}"
        )
    known = words_of(row)
    for word in defaults.supports.keys() - known:
        if not any(word in words_of(other) for other in ROWS.values()):
            raise ArgumentError(
                f"[tool.parity] supports: no row has {word!r}; {row.name} has {', '.join(sorted(known))}"
            )
    usual = {word: value for word, value in defaults.supports.items() if word in known}
    return {**usual, **(given or {})} or None
