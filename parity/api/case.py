"""`parity.case`: a pytest test in one line. Torch is imported when the test runs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from inspect import isclass, isfunction
from typing import TYPE_CHECKING, Any

from parity.api.checked import NUMPY_CNN, require_implementation
from parity.cases.limits import TIME_LIMIT

if TYPE_CHECKING:
    from parity.api.adhoc import Shapes
    from parity.api.checked import Checked
    from parity.cases.case import Dtype, Lane
    from parity.cases.restrict import Supports
    from parity.report import Report

ATTRIBUTE = "parity_case"  # of the test function: the plugin finds the case by it


@dataclass(frozen=True, eq=False)
class ParityCase:
    """The check of a test made by `case`."""

    name: str
    implementation: Checked
    options: Mapping[str, Any]

    def lanes(self) -> list[Lane]:
        """Validate the arguments, and return the lanes that the test runs, in order.

        Raises:
            UnknownRowError: there is no such row.
            ArgumentError: an argument is invalid for the row.
            TypeError: the form of the implementation is not recognized.
        """
        from parity.api.arguments import row_for
        from parity.api.checked import Own
        from parity.api.defaults import examples_for, seed_for
        from parity.running.accept import acceptable
        from parity.running.restrictions import check_dtype, check_supports, lanes_of
        from parity.subjects import adapt

        options = self.options
        adhoc = {key: options[key] for key in ("like", "shapes", "strategy", "options")}
        row = row_for(self.name, self.implementation, **adhoc)
        lanes = lanes_of(row, options["lanes"])
        check_dtype(options["dtype"])
        check_supports(row, options["supports"])
        acceptable(options["accept"])
        examples_for(options["examples"])
        seed_for(options["seed"])
        if not isinstance(self.implementation, Own):
            adapt(self.implementation)
        return lanes

    def check(self) -> Report:
        """Run `parity.check`."""
        from parity.api.check import check

        return check(self.name, self.implementation, **self.options)


def case(
    name: str,
    implementation: Checked = NUMPY_CNN,
    *,
    examples: int | None = None,
    seed: int | None = None,
    lanes: Iterable[Lane] | None = None,
    dtype: Dtype | None = None,
    supports: Supports | None = None,
    accept: Iterable[str] = (),
    strict: bool | None = None,
    second: bool = False,
    timeout: float | None = TIME_LIMIT,
    like: Callable[..., Any] | None = None,
    shapes: Shapes | None = None,
    strategy: Any = None,
    options: Mapping[str, Any] | None = None,
) -> Callable[..., None]:
    """A pytest test of an implementation, for a test file or a test class.

        test_conv2d = parity.case("conv2d", my_conv2d)

        class TestMine:
            test_relu = parity.case("relu", MyRelu, accept=["dtype"])

    Each lane is a separate test: `test_conv2d[exact]`, `test_conv2d[bound]`, … A failure prints the report: the
    smallest case, and the command that runs it again. `pytest --parity-examples N --parity-seed N` and
    `[tool.parity]` in pyproject.toml are the defaults of omitted arguments.

    Args:
        name: the row; all arguments are those of `parity.check`.
        implementation: numpy_cnn's own if omitted.
        examples: cases per lane.
        seed: of the cases.
        lanes: of "exact", "bound", "structure", "special".
        dtype: "float32" or "float64".
        supports: what the implementation supports.
        accept: findings that are not failures.
        strict: whether `special` and `contract` findings are failures too.
        second: also compare second derivatives.
        timeout: time limit for one call, in seconds.
        like: a torch function as the oracle.
        shapes: with `like`, of the arrays.
        strategy: with `like`, a Hypothesis strategy.
        options: with `like`, keywords for both sides.

    Returns:
        a function for pytest to collect; calling it runs the check, and raises AssertionError on a failure.

    Raises:
        TypeError: the implementation is None.
    """
    require_implementation(name, implementation)
    made = ParityCase(
        name,
        implementation,
        {
            "examples": examples, "seed": seed, "lanes": None if lanes is None else tuple(lanes), "dtype": dtype,
            "supports": supports, "accept": accept, "strict": strict, "second": second, "timeout": timeout,
            "like": like, "shapes": shapes, "strategy": strategy, "options": options,
        },
    )  # fmt: skip

    def test(self: object = None) -> None:  # as a class attribute it is called with the instance
        __tracebackhide__ = True
        if isfunction(self) or isclass(self):  # @parity.case(…) above it
            raise TypeError(
                f"parity.case is no decorator; write test_{name} = parity.case({name!r}, {self.__name__})"
            )
        report = made.check()
        if not report.ok:
            raise AssertionError(f"\n{report}")

    test.__name__ = test.__qualname__ = f"test_{name}"
    setattr(test, ATTRIBUTE, made)
    return test
