"""Torch as an oracle for layers written by hand.

report = parity.check("conv2d", my_conv2d)          # generated cases; report.ok, report.failures
report = parity.check("gelu", my_gelu, like=torch.nn.functional.gelu)      # any torch function as the oracle
report = parity.check_gradients(my_op, x, w)        # without torch: finite differences in float64
test_conv2d = parity.case("conv2d", my_conv2d)      # a pytest test
parity.assert_close(y, like=torch.nn.functional.conv2d, args=(x, w, b))    # one result, within its error bound
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from numpy_cnn.common.spec.version import __version__
from parity.api.case import case

if TYPE_CHECKING:
    from parity.api.assert_close import assert_close
    from parity.api.check import check
    from parity.api.gradients import check_gradients
    from parity.report import Failure, Report

__all__ = ["Failure", "Report", "__version__", "assert_close", "case", "check", "check_gradients"]

_HOMES = {
    "assert_close": "api.assert_close",
    "check": "api.check",
    "check_gradients": "api.gradients",
    "Failure": "report",
    "Report": "report",
}


# Imported on first use, so that `python -m parity --help` does not load torch.
def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(f"parity.{_HOMES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
