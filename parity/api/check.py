"""`parity.check`: the harness for scripts, notebooks and pytest."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from parity.api.adhoc import Shapes, row_like
from parity.api.defaults import examples_for, seed_for
from parity.cases.case import Dtype, Lane
from parity.cases.restrict import Supports
from parity.report import Report
from parity.report.rerun import rerun_flags_of
from parity.rows.registry import ROWS
from parity.rows.row import Row
from parity.running.row import run_row
from parity.subjects import TIME_LIMIT, adapt


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
    examples: int | None = None,
    seed: int | None = None,
    lanes: Iterable[Lane] | None = None,
    dtype: Dtype | None = None,
    supports: Supports | None = None,
    accept: Iterable[str] = (),
    timeout: float | None = TIME_LIMIT,
    like: Callable[..., Any] | None = None,
    shapes: Shapes | None = None,
    strategy: Any = None,
    options: Mapping[str, Any] | None = None,
) -> Report:
    """Compare an implementation with torch on generated cases.

        report = parity.check("conv2d", my_conv2d)
        assert report.ok, report

        parity.check("conv2d", (conv_forward, conv_backward), supports={"groups": 1, "square": True})
        parity.check("gelu", my_gelu, like=torch.nn.functional.gelu)

    Every failure has a verdict. A *bug* is wrong numbers, a wrong shape, a crash. A *convention* is another
    well-known choice than torch's, recognised by its numbers and named. *Manners* are about dtypes that change,
    arguments that are overwritten, layouts and empty batches that are refused. All three are failures, so that
    nobody overlooks them; those named in `accept` are not, and are found in `report.rows[0].accepted`. What is
    wrong only where values tie, or are NaN or infinite, is reported apart from plain values.

    Args:
        name: a row of the registry, such as "conv2d"; any name with `like`.
        implementation: a function that returns (y, pullback), a pair (forward, backward) or a class, as its author
            wrote it, see `parity.subjects`; numpy_cnn's own if left out. It declines a case by raising
            NotImplementedError.
        examples: cases a lane; 200, or what pytest's and Hypothesis' settings say, if left out.
        seed: the same seed draws the same cases.
        lanes: of "exact", "bound", "structure", "special"; all that the row has if left out.
        dtype: "float32" or "float64"; both if left out.
        supports: what the implementation takes, so that nothing else is drawn: {"groups": 1, "square": True}, or a
            predicate over the Case; see `parity.cases.restrict`.
        accept: what is no failure: conventions, by the names that failures give them; dtype, purity, layout and
            empty; ties and special (NaN, ±inf, −0).
        timeout: seconds that one call may take; None for any.
        like: a torch function to be the oracle, for an op that is in no row.
        shapes: with `like`, of the arrays: "n c h w, c"; see `parity.api.adhoc`.
        strategy: with `like`, a Hypothesis strategy of cases or of shapes instead.
        options: with `like`, keywords for both sides; a value may be a strategy.

    Returns:
        a Report: `.ok`, `.failures` with the smallest case for each wrong quantity, `.to_json()`.

    Raises:
        KeyError: the registry has no such row.
        TypeError: the implementation is in no form that can be recognised; the message asks for what is missing.
        ValueError: there is nothing of a name in `accept`, or in `supports`.
    """
    if like is None:
        if shapes is not None or strategy is not None or options is not None:
            raise TypeError("shapes, strategy and options belong to like=…; a row of the registry has its own")
        row = row_named(name)
    elif implementation is None:
        raise TypeError("like=… takes an implementation to be compared with it")
    else:
        row = row_like(name, implementation, like, shapes=shapes, strategy=strategy, options=options)
    accepted = (accept,) if isinstance(accept, str) else tuple(accept)
    op = adapt(row.op if implementation is None else implementation)
    op.timeout = timeout
    count, chosen = examples_for(examples), seed_for(seed)
    done = run_row(
        row, op, examples=count, seed=chosen, lanes=lanes, dtype=dtype, supports=supports, accept=accepted
    )
    how = rerun_flags_of(implementation, supports, accepted, timeout, like, shapes)
    done.failures = [replace(failure, rerun=how) for failure in done.failures]
    return Report([done], chosen, count)
