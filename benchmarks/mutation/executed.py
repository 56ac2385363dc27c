"""A pytest plugin for sample.py: record the lines that each test executes, and its duration."""

import json
import os
from pathlib import Path
from typing import Any

import coverage
import pytest

_measured = coverage.Coverage(
    data_file=Path("lines.coverage").absolute(),
    data_suffix=f"{os.getpid()}" if "PYTEST_XDIST_WORKER" in os.environ else None,
    source=["numpy_cnn", "torch_cnn", "parity"],
    config_file=False,
)
_times: dict[str, float] = {}
if "PYTEST_XDIST_WORKER" in os.environ:
    _measured.start()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: Any) -> Any:
    """Record each test, including its fixtures, as a separate context."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        _measured.switch_context(item.nodeid)
    return (yield)


def pytest_runtest_logreport(report: Any) -> None:
    """Add up set-up, call and teardown."""
    _times[report.nodeid] = _times.get(report.nodeid, 0.0) + report.duration


def pytest_sessionfinish() -> None:
    """Save the lines of each worker; the main process combines the files."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        _measured.stop()
        _measured.save()


def pytest_unconfigure() -> None:
    """Combine the workers' files after they have ended."""
    if "PYTEST_XDIST_WORKER" not in os.environ:
        _measured.combine()
        _measured.save()
        Path("times.json").write_text(json.dumps(_times), encoding="utf-8")
