"""`parity.check` and `parity.case`: the harness for scripts, notebooks and pytest."""

from collections.abc import Callable, Iterable
from typing import Any

from parity.adapters import adapt
from parity.cases import Dtype, Lane
from parity.registry import ROWS, Row
from parity.report import Report
from parity.runner import run_row


def row_named(name: str) -> Row:
    """The registry's row.

    Raises:
        KeyError: there is none of that name; the message lists those there are.
    """
    if name not in ROWS:
        raise KeyError(f"parity knows no {name!r}; it knows {', '.join(ROWS)}")
    return ROWS[name]


def check(
    name: str,
    implementation: Any = None,
    *,
    examples: int = 200,
    seed: int = 0,
    lanes: Iterable[Lane] | None = None,
    dtype: Dtype | None = None,
) -> Report:
    """Compare an implementation with torch on generated cases.

        report = parity.check("conv2d", my_conv2d)
        assert report.ok, report

    Args:
        name: a row of the registry, such as "conv2d".
        implementation: a function that returns (y, pullback), a pair (forward, backward) or a class; numpy_cnn's
            own if left out.
        examples: cases a lane.
        seed: the same seed draws the same cases.
        lanes: of "exact", "bound", "structure", "special"; all that the row has if left out.
        dtype: "float32" or "float64"; both if left out.

    Returns:
        a Report: `.ok`, `.failures` with the smallest case for each wrong quantity, `.to_json()`.

    Raises:
        KeyError: the registry has no such row.
        TypeError: the implementation is none of the three forms.
    """
    row = row_named(name)
    op = adapt(row.op if implementation is None else implementation)
    return Report([run_row(row, op, examples=examples, seed=seed, lanes=lanes, dtype=dtype)], seed, examples)


def case(name: str, implementation: Any = None, **options: Any) -> Callable[[], None]:
    """A pytest test of an implementation, for the top level of a test file.

        test_conv2d = parity.case("conv2d", my_conv2d)

    The options are those of `check`. A failure prints the smallest case, and the command that runs it again.
    """

    def test() -> None:
        report = check(name, implementation, **options)
        assert report.ok, f"\n{report}"

    test.__name__ = test.__qualname__ = f"test_{name}"
    return test
