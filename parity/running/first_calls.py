"""Checks that the implementation can be called."""

from inspect import isclass, isfunction
from pathlib import Path
from types import TracebackType
from typing import Any

from parity.cases.case import Lane
from parity.cases.restrict import Supports
from parity.lanes.reference import expect
from parity.rows.row import Row
from parity.running.restrictions import few, restricted
from parity.subjects import Declined, Implementation, ImplementationError, Unrecognised
from parity.subjects.arguments import parameters_of

PARITY = str(Path(__file__).resolve().parents[1])


def require_entered(
    row: Row, implementation: Implementation, supports: Supports | None, learnt: dict[str, Any]
) -> None:
    """Call it on a few cases.

    Raises:
        Unrecognised: each call failed before the first line of the implementation, for example a missing argument,
            or in its constructor.
    """
    lane: Lane = row.lanes[0]
    reason = ""
    for case in few(restricted(row, lane, supports, learnt, None)):
        try:
            inputs = expect(row, case, lane).inputs.private()
            implementation(*inputs.arrays, **inputs.options)
        except ImplementationError as error:
            last = error.__cause__
            constructing = last is not None and _in_constructor(last.__traceback__, implementation.written)
            if constructing:
                reason = f"{implementation.written.__name__} cannot be constructed: {error}"
            elif not isinstance(last, TypeError) or _entered(last.__traceback__):
                return
            else:
                reason = f"it cannot be called: {last}; {_hint(row, implementation)}"
        except (Declined, RuntimeError, ValueError, IndexError, TypeError):  # or torch rejects the case
            continue
        else:
            return
    if reason:
        raise Unrecognised(reason)


def _hint(row: Row, implementation: Implementation) -> str:
    """What to type: a partial that binds the parameters after the arrays, if it is a function."""
    written = implementation.written
    required = (
        [p.name for p in parameters_of(written) or () if p.default is p.empty] if isfunction(written) else []
    )
    (case,) = few(row.strategy(lane=row.lanes[0]))[:1]
    left = [f"{name}=…" for name in required[len([spec for spec in case.arrays if not spec.keyword]) :]]
    if left:
        return f"bind what is missing, for example: functools.partial({written.__name__}, {', '.join(left)})"
    return f"wrap it in a function with the arguments of torch's {row.name}, as in lambda *arrays, **options: …"


def _in_constructor(trace: TracebackType | None, written: Any) -> bool:
    """Whether the exception comes from the constructor of a class."""
    constructor = getattr(getattr(written, "__init__", None), "__code__", None) if isclass(written) else None
    while trace is not None and constructor is not None:
        if trace.tb_frame.f_code is constructor:
            return True
        trace = trace.tb_next
    return False


def _entered(trace: TracebackType | None) -> bool:
    """Whether the exception comes from outside parity."""
    while trace is not None:
        if not trace.tb_frame.f_code.co_filename.startswith(PARITY):
            return True
        trace = trace.tb_next
    return False
