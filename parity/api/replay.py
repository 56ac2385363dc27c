"""Run one case again, as `python -m parity replay` does."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from parity.api.adhoc import Shapes
from parity.api.arguments import row_for, supports_for
from parity.api.checked import NUMPY_CNN, Checked, Own
from parity.api.defaults import SESSION
from parity.cases.case import Case, Lane
from parity.cases.limits import TIME_LIMIT
from parity.cases.restrict import Supports
from parity.lanes.facts import Difference
from parity.running.row import run_case
from parity.subjects import adapt


def replay(
    name: str,
    implementation: Checked = NUMPY_CNN,
    *,
    lane: Lane,
    case: Case,
    supports: Supports | None = None,
    accept: Iterable[str] = (),
    strict: bool | None = None,
    timeout: float | None = TIME_LIMIT,
    like: Callable[..., Any] | None = None,
    shapes: Shapes | None = None,
) -> list[Difference]:
    """Return the failures on one case; the arguments are those of `parity.check`.

    Raises:
        Declined: the implementation does not support the case.
        RuntimeError, ValueError, …: torch rejects the case.
    """
    row = row_for(name, implementation, like, shapes=shapes)
    own = isinstance(implementation, Own)
    defaults = SESSION.get().of_row(row.name)
    op = replace(adapt(row.op if own else implementation), timeout=timeout)
    return run_case(
        row,
        op,
        lane,
        case,
        supports=supports if own else supports_for(row, supports, defaults),
        accept=accept if own else (*defaults.accept, *accept),
        strict=own or bool(defaults.strict if strict is None else strict),
    )
