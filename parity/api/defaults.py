"""Defaults for the arguments of a check.

In order of precedence: the call; `pytest --parity-examples` and `--parity-seed`; `[tool.parity]` in
pyproject.toml; Hypothesis' settings, if they were changed (a profile's max_examples, `--hypothesis-seed`); 200
cases per lane and seed 0.
"""

import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, fields, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from parity.cases.errors import ArgumentError

EXAMPLES, SEED = 200, 0
HYPOTHESIS_EXAMPLES = 100  # Hypothesis' own default
FILE = "pyproject.toml"


@dataclass(frozen=True)
class Defaults:
    """Default values; None if there is none."""

    examples: int | None = None
    seed: int | None = None
    strict: bool | None = None
    accept: tuple[str, ...] = ()
    supports: Mapping[str, Any] = field(default_factory=dict)
    rows: Mapping[str, "Defaults"] = field(default_factory=dict)  # values for single rows

    def of_row(self, name: str) -> "Defaults":
        """The values for one row; its own take precedence over those for all rows."""
        own = self.rows.get(name)
        if own is None:
            return self
        return self.with_values(
            examples=own.examples,
            seed=own.seed,
            strict=own.strict,
            accept=(*self.accept, *own.accept),
            supports={**self.supports, **own.supports},
        )

    def with_values(self, **chosen: Any) -> "Defaults":
        """A copy with every value that is not None replaced."""
        return replace(self, **{name: value for name, value in chosen.items() if value is not None})


# Set by the pytest plugin for a session, and by the commands.
SESSION: ContextVar[Defaults] = ContextVar("SESSION", default=Defaults())  # noqa: B039  # immutable


@contextmanager
def using(defaults: Defaults) -> Iterator[None]:
    """Use these values in every check within the context."""
    token = SESSION.set(defaults)
    try:
        yield
    finally:
        SESSION.reset(token)


def examples_for(given: int | None) -> int:
    """Cases per lane.

    Raises:
        ArgumentError: less than one.
    """
    if given is None:
        import hypothesis

        settings = hypothesis.settings.default
        most = HYPOTHESIS_EXAMPLES if settings is None else settings.max_examples
        given = EXAMPLES if most == HYPOTHESIS_EXAMPLES else most
    if isinstance(given, bool) or not isinstance(given, int) or given < 1:
        raise ArgumentError(f"examples must be at least 1, got {given!r}")
    return given


def seed_for(given: int | None) -> int:
    """The seed of the cases.

    Raises:
        ArgumentError: it is negative, or not an integer.
    """
    if given is None:
        import hypothesis.core

        forced = getattr(hypothesis.core, "global_force_seed", None)  # --hypothesis-seed
        given = forced if isinstance(forced, int) else SEED
    if isinstance(given, bool) or not isinstance(given, int) or given < 0:
        raise ArgumentError(f"seed must be a whole number, at least 0, got {given!r}")
    return given


def project_defaults(folder: Path) -> Defaults:
    """Read `[tool.parity]` from the nearest pyproject.toml, in this folder or one above it.

        [tool.parity]
        examples = 500
        accept = ["dtype"]

        [tool.parity.rows.conv2d]
        supports = { groups = 1, dilation = 1 }

    Raises:
        ArgumentError: the table has an unknown key, or a value of the wrong type.
    """
    here = folder.resolve()
    file = next((f for f in (place / FILE for place in (here, *here.parents)) if f.is_file()), None)
    if file is None:
        return Defaults()
    try:
        table = tomllib.loads(file.read_text(encoding="utf-8")).get("tool", {}).get("parity", {})
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ArgumentError(f"{file}: not TOML: {error}") from error
    return _defaults(table, f"{file}: [tool.parity]", rows=True)


# The type of each value, how to describe a valid one, and whether a value of the type is valid.
_VALUES: dict[str, tuple[type, str, Callable[[Any], bool]]] = {
    "examples": (int, "an integer of at least 1", lambda value: value >= 1),
    "seed": (int, "an integer of at least 0", lambda value: value >= 0),
    "strict": (bool, "true or false", lambda _: True),
    "accept": (list, 'a list of names, as in ["dtype"]', lambda value: all(type(name) is str for name in value)),
    "supports": (dict, "a table, as in { groups = 1 }", lambda _: True),
    "rows": (dict, "a table of rows, as in [tool.parity.rows.conv2d]", lambda _: True),
}


def _defaults(table: Any, where: str, rows: bool = False) -> Defaults:
    known = [f.name for f in fields(Defaults) if rows or f.name != "rows"]
    if not isinstance(table, dict):
        raise ArgumentError(f"{where} must be a table, got {table!r}")
    for name, value in table.items():
        if name not in known:
            near = get_close_matches(name, known, n=1, cutoff=0.5)
            hint = f"; did you mean {near[0]}?" if near else ""
            if isinstance(value, dict) and rows:
                hint = f"; the values of one row belong in [tool.parity.rows.{name}]"
            raise ArgumentError(f"{where} has no key {name!r}{hint} (keys: {', '.join(known)})")
        kind, expected, fits = _VALUES[name]
        if type(value) is not kind or not fits(value):
            raise ArgumentError(f"{where}: {name} must be {expected}, got {value!r}")
    values = dict(table)
    values["accept"] = tuple(values.get("accept", ()))
    values["supports"] = {name: _tuples(value) for name, value in values.get("supports", {}).items()}
    values["rows"] = {
        name: _defaults(own, f"{where[:-1]}.rows.{name}]") for name, own in values.get("rows", {}).items()
    }
    return Defaults(**values)


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value
