"""`parity.case`: a pytest test in a line. Torch is imported when the test runs."""

from collections.abc import Callable
from typing import Any


def case(name: str, implementation: Any = None, **options: Any) -> Callable[[], None]:
    """A pytest test of an implementation, for the top level of a test file.

        test_conv2d = parity.case("conv2d", my_conv2d)

    The options are those of `check`; `pytest --parity-examples N --parity-seed N` stand in for those not given. A
    failure prints the smallest case, and the command that runs it again.
    """

    def test() -> None:
        from parity.api.check import check

        report = check(name, implementation, **options)
        assert report.ok, f"\n{report}"

    test.__name__ = test.__qualname__ = f"test_{name}"
    return test
