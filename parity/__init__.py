"""Torch as an oracle for layers written by hand.

report = parity.check("conv2d", my_conv2d)          # generated cases; report.ok, report.failures
test_conv2d = parity.case("conv2d", my_conv2d)      # a pytest test
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from parity.checking import case, check
    from parity.report import Failure, Report

__all__ = ["Failure", "Report", "case", "check"]


# Imported when first asked for: `python -m parity --help` answers without the second that torch takes.
def __getattr__(name: str) -> Any:
    if name in ("case", "check"):
        from parity import checking

        return getattr(checking, name)
    if name in ("Failure", "Report"):
        from parity import report

        return getattr(report, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
