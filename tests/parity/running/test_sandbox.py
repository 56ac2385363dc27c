"""Side effects of an implementation that would end the process or close its streams."""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from programs import fork

import parity
from parity.lanes.facts import Raised
from parity.running.sandbox import sandboxed

pytestmark = pytest.mark.usefixtures("as_found")


def recurse(depth: int = 0) -> int:
    return recurse(depth + 1)


@pytest.mark.parametrize(
    ("effect", "exception"),
    [
        (lambda: os._exit(3), "SystemExit"),
        (lambda: sys.exit(3), "SystemExit"),
        (recurse, "RecursionError"),
    ],
)
def test_an_exit_is_a_finding(effect: Callable[[], Any], exception: str) -> None:
    def relu(x: Any) -> Any:
        if x.shape[:1] == (1,):
            effect()
        return np.maximum(x, 0), lambda dy: (np.where(x > 0, dy, 0),)

    report = parity.check("relu", relu, examples=20, lanes=["exact"])
    (failure,) = report.failures
    assert isinstance(failure.fact, Raised)
    assert failure.fact.exception == exception
    assert "test_sandbox.py" in failure.diagnosis


def test_closing_the_streams_has_no_effect(capsys: pytest.CaptureFixture[str]) -> None:
    def relu(x: Any) -> Any:
        for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
            assert stream is not None
            stream.close()
        return np.maximum(x, 0), lambda dy: (np.where(x > 0, dy, 0),)

    assert parity.check("relu", relu, examples=5, lanes=["exact"]).ok
    print("still open")
    assert capsys.readouterr().out == "still open\n"
    assert sys.__stdout__ is not None
    assert not sys.__stdout__.closed


def test_a_child_process_ends_as_usual() -> None:
    with sandboxed():
        child = os.fork()
        if not child:
            os._exit(7)
        _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 7
    assert os._exit.__name__ == "_exit"


def test_in_python_a_crash_in_compiled_code_ends_the_process(tmp_path: Path) -> None:
    """As docs/checking-your-own-layers.md states; the commands report it, see test_guard.py."""
    code = "import os, parity; parity.check('relu', lambda x: os.abort(), examples=1); print('done')"
    result = fork("-c", code, cwd=tmp_path)
    assert (result.code, result.out) == (-signal.SIGABRT, "")
