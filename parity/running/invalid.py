"""Arguments that torch rejects: an implementation that accepts them returns a meaningless result."""

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
from parity.cases.op import Op
from parity.cases.torch_op import oracle
from parity.lanes.comparison import Mismatch
from parity.lanes.facts import Difference, InvalidAccepted
from parity.rows.row import Row
from parity.subjects import Declined, Implementation, ImplementationError

VALID = 6  # cases whose variants are tried; each rule needs one case to which it applies
SECONDS = 2.0  # for a call that may not return
COMPILERS = {"ctypes", "_ctypes", "cffi", "_cffi_backend", "numba", "cython"}
UNTRIED = "arguments that torch rejects were not tried: it calls compiled code, which may crash on them"


def invalid_accepted(row: Row, op: Op, cases: Iterable[Case], fixed: Collection[str]) -> Mismatch | str | None:
    """Return the first case that torch rejects and the implementation accepts, with all such rules.

    Compiled code is not called with invalid arguments, because it may write outside its arrays; the result is
    then a note.

    Args:
        row: what is compared.
        op: the implementation.
        cases: valid cases that it supports.
        fixed: options that it supports with one value only, so it need not check them.
    """
    like, accepted = _rejecting(row), dict[str, Invalid]()
    for case in [case for case in cases if all(0 not in (spec.shape or ()) for spec in case.arrays)][:VALID]:
        found = [*invalid_cases(case, like, fixed)]
        if found and _is_compiled(op):
            return UNTRIED
        if found and accepts(op, case):
            accepted |= {i.rule: i for i in found if i.rule not in accepted and accepts(op, i.case)}
    if not accepted:
        return None
    first, *_ = accepted.values()
    return Mismatch("structure", first.case, [_difference([*accepted], first.reason)])


def rejected(row: Row, case: Case) -> str | None:
    """Return torch's message if it rejects the case."""
    return rejection(case, _rejecting(row))


def _rejecting(row: Row) -> Op:
    """The oracle of a row, raising torch's errors where a user's oracle declines the case because of one."""
    like = oracle(row.like)

    def called(*arrays: Any, **options: Any) -> Any:
        try:
            return like(*arrays, **options)
        except Declined as declined:
            raise declined.__cause__ or declined from None

    return called


def still_accepted(row: Row, op: Op, case: Case) -> list[Difference]:
    """Check one case that torch rejects."""
    reason = rejected(row, case)
    return [_difference(["these arguments"], reason)] if reason is not None and accepts(op, case) else []


def accepts(op: Op, case: Case) -> bool:
    """Whether a call returns a result or does not finish, instead of raising."""
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
    """Whether the implementation's file uses a compiler or a shared library."""
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
