"""A pytest plugin: run the parity suite first, fail tests that hang, and record which test killed a mutant."""

import gc
import os
import resource
import signal
from pathlib import Path
from typing import Any

LANES = ("exact", "bound", "structure", "special")
FEW, MANY = 20, 200  # cases per lane
SECONDS = 60  # of processor time per test; without a mutant the slowest takes 20 on a busy machine
MEMORY = 12 << 30  # bytes of address space: a mutant may allocate any size

resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))


def pytest_collection_finish() -> None:
    """Exempt existing objects from garbage collection: each mutant is a fork of this process and shares them."""
    gc.freeze()


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """Run few cases of each row, then cheap tests, then many cases; mutmut lists its tests in no order."""

    def turn(item: Any) -> tuple[bool, bool, bool, int]:
        drawn = item.callspec.params if hasattr(item, "callspec") else {}
        cases, lane = drawn.get("cases"), drawn.get("lane", LANES[0])
        return cases == MANY, cases != FEW, item.path.name == "test_ops.py", LANES.index(lane)

    items.sort(key=turn)


def pytest_runtest_setup(item: Any) -> None:
    """Start the clock."""

    def stop(*_: object) -> None:
        raise TimeoutError(f"{item.nodeid} takes more than {SECONDS} s")

    signal.signal(signal.SIGVTALRM, stop)
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)


def pytest_runtest_teardown() -> None:
    """Stop the clock."""
    signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def pytest_runtest_logreport(report: Any) -> None:
    """Record the first test that a mutant fails."""
    mutant = os.environ.get("MUTANT_UNDER_TEST", "")
    if report.failed and "mutmut" in mutant:
        with Path("killed.tsv").open("a", encoding="utf-8") as file:
            file.write(f"{mutant}\t{report.nodeid}\n")
