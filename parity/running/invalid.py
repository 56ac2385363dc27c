"""Arguments that torch rejects: an implementation that accepts them computes something that has no meaning."""

import ctypes
import inspect
import sys
from collections.abc import Collection, Iterable
from dataclasses import replace
from types import ModuleType
from typing import Any

from parity.cases.case import Case
from parity.cases.inputs import inputs_of
from parity.cases.invalid import Invalid, invalid_cases, rejection
from parity.cases.torch_op import Op, oracle
from parity.lanes.comparison import Mismatch
from parity.lanes.facts import Difference, InvalidAccepted
from parity.rows.row import Row
from parity.subjects import Declined, Implementation, ImplementationError

VALID = 6  # cases whose variants are tried; each rule needs one case that has it
SECONDS = 2.0  # for a call that need not return at all
COMPILERS = {"ctypes", "_ctypes", "cffi", "_cffi_backend", "numba", "cython"}
UNTRIED = "arguments that torch rejects were not tried: it calls compiled code, which may crash on them"


def invalid_accepted(row: Row, op: Op, cases: Iterable[Case], fixed: Collection[str]) -> Mismatch | str | None:
    """The first case that torch rejects and the implementation does not, with all rules that it breaks so.

    Compiled code is not called so: it may write outside its arrays. The result is then a note.

    Args:
        row: what is compared.
        op: the implementation.
        cases: valid ones that it does.
        fixed: options that it has in one value only, so that it need not look at them.
    """
    like, accepted = oracle(row.like), dict[str, Invalid]()
    for case in [case for case in cases if all(0 not in (spec.shape or ()) for spec in case.arrays)][:VALID]:
        try:
            found = [*invalid_cases(case, like, fixed)]
        except Declined:  # the oracle is a user's own function, whose rules nobody has stated
            return None
        if found and _is_compiled(op):
            return UNTRIED
        if found and accepts(op, case):
            accepted |= {i.rule: i for i in found if i.rule not in accepted and accepts(op, i.case)}
    if not accepted:
        return None
    first, *_ = accepted.values()
    return Mismatch("structure", first.case, [_difference([*accepted], first.reason)])


def rejected(row: Row, case: Case) -> str | None:
    """Torch's message where it rejects the case."""
    try:
        return rejection(case, oracle(row.like))
    except Declined:
        return None


def still_accepted(row: Row, op: Op, case: Case) -> list[Difference]:
    """The same for one case that torch rejects."""
    reason = rejected(row, case)
    return [_difference(["these arguments"], reason)] if reason is not None and accepts(op, case) else []


def accepts(op: Op, case: Case) -> bool:
    """Whether a call returns something, or does not end: anything but an exception."""
    inputs = inputs_of(case, "structure", integer=True)
    if isinstance(op, Implementation):
        op = replace(op, timeout=min(op.timeout or SECONDS, SECONDS))
    try:
        op(*inputs.arrays, **inputs.options)
    except ImplementationError as error:
        return error.aspect == "time"
    except Exception:  # the implementation's own or, for shapes that no layer has, one of the adapters'
        return False
    return True


def _difference(rules: list[str], reason: str) -> Difference:
    return Difference("output", InvalidAccepted(tuple(rules), reason))


def _is_compiled(op: Op) -> bool:
    """Whether the file in which the implementation is written calls a compiler or a shared library."""
    written = op.written if isinstance(op, Implementation) else op
    for part in written if isinstance(written, (tuple, list)) else (written,):
        function = inspect.unwrap(part) if callable(part) else part
        module = sys.modules.get(getattr(function, "__module__", None) or "")
        scope = getattr(function, "__globals__", None) or vars(module or ModuleType(""))
        if inspect.isbuiltin(function) or any(map(_is_foreign, scope.values())):
            return True
    return False


def _is_foreign(value: Any) -> bool:
    name = value.__name__ if isinstance(value, ModuleType) else type(value).__module__
    return isinstance(value, ctypes.CDLL) or str(name).split(".")[0] in COMPILERS
