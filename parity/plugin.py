"""The pytest plugin: `--parity-examples` and `--parity-seed` for all tests made by `parity.case`.

Imported by every run of pytest where parity is installed, so it imports neither torch nor Hypothesis.
"""

import pytest

from parity.api.defaults import Chosen


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the flags."""
    group = parser.getgroup("parity", "torch as an oracle for layers written by hand")
    group.addoption("--parity-examples", type=int, metavar="N", help="cases a lane in tests made by parity.case")
    group.addoption("--parity-seed", type=int, metavar="N", help="seed of the cases in tests made by parity.case")


def pytest_configure(config: pytest.Config) -> None:
    """Hand the flags to `parity.check`.

    Raises:
        pytest.UsageError: fewer than one case is asked for, or the seed is negative.
    """
    examples, seed = config.getoption("--parity-examples"), config.getoption("--parity-seed")
    if examples is not None and examples < 1:
        raise pytest.UsageError(f"--parity-examples must be at least 1, got {examples}")
    if seed is not None and seed < 0:
        raise pytest.UsageError(f"--parity-seed must not be negative, got {seed}")
    Chosen.examples, Chosen.seed = examples, seed


def pytest_unconfigure() -> None:
    """Forget them."""
    Chosen.examples = Chosen.seed = None
