"""The pytest plugin: one test per lane for each `parity.case`, with flags and defaults.

Every run of pytest in an environment with parity imports it, so it imports neither torch nor Hypothesis.
"""

from __future__ import annotations

from contextvars import Token
from typing import TYPE_CHECKING, Any

import pytest

from parity.api.case import ATTRIBUTE, ParityCase
from parity.api.defaults import SESSION, Defaults, project_defaults
from parity.cases.errors import ArgumentError, UnknownRowError

if TYPE_CHECKING:
    from parity.report import Failure, Report

LANE = "parity_lane"
TOKEN: pytest.StashKey[Token[Defaults]] = pytest.StashKey()
REPORTS: pytest.StashKey[dict[ParityCase, Report]] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the flags."""
    group = parser.getgroup("parity", "torch as an oracle for hand-written layers")
    group.addoption("--parity-examples", type=int, metavar="N", help="cases per lane in tests made by parity.case")
    group.addoption("--parity-seed", type=int, metavar="N", help="seed of the cases in tests made by parity.case")


def pytest_configure(config: pytest.Config) -> None:
    """Read the flags and pyproject.toml.

    Raises:
        pytest.UsageError: fewer than one case, a negative seed, or a mistake in `[tool.parity]`.
    """
    examples, seed = config.getoption("--parity-examples"), config.getoption("--parity-seed")
    if examples is not None and examples < 1:
        raise pytest.UsageError(f"--parity-examples must be at least 1, got {examples}")
    if seed is not None and seed < 0:
        raise pytest.UsageError(f"--parity-seed must not be negative, got {seed}")
    try:
        defaults = project_defaults(config.rootpath)
    except ArgumentError as error:
        raise pytest.UsageError(str(error)) from error
    rows = {name: own.with_values(examples=examples, seed=seed) for name, own in defaults.rows.items()}
    chosen = defaults.with_values(examples=examples, seed=seed, rows=rows)
    config.stash[TOKEN] = SESSION.set(chosen)
    config.stash[REPORTS] = {}


def pytest_unconfigure(config: pytest.Config) -> None:
    """Restore the previous defaults of this process."""
    if (token := config.stash.get(TOKEN, None)) is not None:
        SESSION.reset(token)


@pytest.fixture(name=LANE)
def _lane(request: pytest.FixtureRequest) -> Any:
    """The lane of a test made by parity.case."""
    return request.param


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """One test per lane; a mistake in the arguments of `parity.case` is an error of the collection."""
    case = getattr(metafunc.function, ATTRIBUTE, None)
    if not isinstance(case, ParityCase):
        return
    try:
        lanes = case.lanes()
    except (ArgumentError, UnknownRowError, TypeError) as error:
        pytest.fail(f"{metafunc.function.__name__}: {error}", pytrace=False)
    metafunc.fixturenames.append(LANE)
    metafunc.parametrize(LANE, lanes, indirect=True)


@pytest.hookimpl(tryfirst=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test made by parity.case; the first lane runs all of them, so that no failure is repeated."""
    case = getattr(pyfuncitem.obj, ATTRIBUTE, None)
    if not isinstance(case, ParityCase):
        return None
    reports = pyfuncitem.config.stash[REPORTS]
    lane = pyfuncitem.callspec.params[LANE] if hasattr(pyfuncitem, "callspec") else None
    text: str | None
    try:
        report = reports[case] if case in reports else reports.setdefault(case, case.check())
    except (ArgumentError, UnknownRowError, TypeError) as error:
        text = f"{case.name}: {error}"
    else:
        text = _failure_of(report, lane)
    if text is not None:
        pytest.fail(text, pytrace=False)
    return True


def _failure_of(report: Report, lane: object) -> str | None:
    """The text of a failing lane: a line for pytest's summary, then the report."""
    failures = [failure for failure in report.failures if lane in (None, failure.lane)]
    if failures:
        from parity.report.terminal import render_failure

        return "\n\n".join(["; ".join(map(_summary, failures)), *map(render_failure, failures)])
    if any(lane in row.vacuous for row in report.rows) or (lane is None and not report.ok) or report.cases == 0:
        return "\n".join(line for row in report.rows for line in (f"{row.name}: {report.verdict}", *row.notes))
    return None


def _summary(failure: Failure) -> str:
    """Row, quantity and cause, on one line."""
    return f"{failure.row}: {failure.quantity}: {' '.join(failure.diagnosis.split())}"
