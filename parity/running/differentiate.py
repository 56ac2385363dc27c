"""Turn an implementation into the op of its backward pass, after trying that it has second derivatives."""

from collections.abc import Mapping
from typing import Any

from parity.cases.op import Op
from parity.cases.restrict import Supports
from parity.lanes.comparison import quantities
from parity.lanes.reference import expect
from parity.rows.row import Row
from parity.running.restrictions import few, restricted
from parity.subjects import Declined, Implementation, ImplementationError, Unrecognised
from parity.subjects.double_backward import of_backward


def differentiated(row: Row, op: Op, supports: Supports | None, learnt: Mapping[str, Any]) -> Op:
    """Return the op of the backward pass of an implementation.

    Args:
        row: of a backward pass.
        op: the implementation, with its capabilities determined.
        supports: the restrictions of the user.
        learnt: the restrictions that were found out.

    Raises:
        Unrecognised: it offers no second derivatives, or each call of them raised.
    """
    lane, reason = row.lanes[-1], ""
    cases = few(restricted(row, lane, supports, learnt, None))
    made = op if isinstance(op, Implementation) else Implementation(op)
    backward = of_backward(made, [spec.name for case in cases[:1] for spec in case.arrays if not spec.keyword])
    for case in cases:
        try:
            expected = expect(row, case, lane)
            quantities(backward, expected.inputs.private(), expected.dy.copy())
        except ImplementationError as error:
            reason = str(error)
        except (Declined, RuntimeError, ValueError, IndexError):  # torch rejects the case
            continue
        else:
            return backward
    if reason:
        raise Unrecognised(f"its backward cannot be differentiated: {reason}")
    return backward
