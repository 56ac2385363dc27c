"""Runs the two programs for the tests, in this process or in a separate one."""

from __future__ import annotations

import contextlib
import io
import os
import shlex
import subprocess
import sys
import warnings
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

import numpy as np
from forked import Forked

import numpy_cnn.__main__
import parity.__main__
import torch_cnn.__main__
from numpy_cnn.common.cli.main import main
from numpy_cnn.common.training.checkpoint import Checkpoint, load_checkpoint
from numpy_cnn.common.training.run_folder import RunFolder

PROGRAMS = {"numpy_cnn": numpy_cnn.__main__.PROGRAM, "torch_cnn": torch_cnn.__main__.PROGRAM}
OTHER = {"numpy_cnn": "torch_cnn", "torch_cnn": "numpy_cnn"}
ROOT = Path(__file__).parent.parent
HANG = 300  # seconds after which a process is taken to hang: many times what it needs on a busy machine


# `python -m PROGRAM` without plots: matplotlib takes longer than a short training run.
WITHOUT_PICTURES = """
import runpy, sys
from numpy_cnn.common.cli import train

train.draw_pictures = lambda *_: []
sys.argv[:1] = [program := sys.argv.pop(1)]
runpy.run_module(program, run_name="__main__", alter_sys=True)
"""


@dataclass(frozen=True)
class Result:
    """The result of a command: exit code, output and errors."""

    code: int
    out: str
    err: str


def call(program: str, *arguments: object) -> Result:
    """Run a command in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(PROGRAMS[program], [str(argument) for argument in arguments])
        except SystemExit as stop:  # tyro exits after --help and after a value of the wrong kind
            code = stop.code
    return Result(code, out.getvalue(), err.getvalue())


def typed(command: str, cwd: Path, width: int, together: bool = False) -> Result:
    """Run a command of a documentation page, `python -m PROGRAM …`, in this process: torch is loaded only once.

    With `together`, standard error is part of the output, as with `2>&1`.
    """
    python, dash_m, program, *arguments = shlex.split(command)
    assert (python, dash_m) == ("python", "-m"), command
    out = io.StringIO()
    err = out if together else io.StringIO()
    variables = {"COLUMNS": str(width), "NO_COLOR": "1"}
    with contextlib.chdir(cwd), mock.patch.dict(os.environ, variables), warnings.catch_warnings():
        os.environ.pop("FORCE_COLOR", None)
        warnings.simplefilter("ignore")  # from the implementation under test
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            run = parity.__main__.main if program == "parity" else lambda typed: main(PROGRAMS[program], typed)
            code = run(arguments)
    return Result(code, out.getvalue(), err.getvalue())


def succeed(program: str, *arguments: object) -> Result:
    """Run a command and check that it succeeds."""
    result = call(program, *arguments)
    assert result.code == 0, result.err
    return result


def error_of(program: str, *arguments: object) -> str:
    """Run a command, check that it fails, and return its one-line message."""
    result = call(program, *arguments)
    assert result.code == 2, result
    assert result.err.startswith(f"{program}: error: "), result.err
    assert result.err.count("\n") == 1, result.err
    assert result.err.endswith("\n")
    assert not result.out, "results are printed although the command failed"
    return result.err.removeprefix(f"{program}: error: ").rstrip("\n")


def environment(**changes: str) -> dict[str, str]:
    """The environment of a separate process: one thread, the project on the path, no settings for output."""
    one_thread = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}
    habits = ("PYTHONUNBUFFERED", "NO_COLOR", "FORCE_COLOR")  # possibly set where the tests run
    kept = {name: value for name, value in os.environ.items() if name not in habits}
    return {**kept, **one_thread, **changes}


def spawn(*arguments: object, cwd: Path, **changes: str) -> Result:
    """Run `python ARGUMENTS…` to its end, in a new interpreter."""
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        cwd=cwd,
        env=environment(**changes),
        capture_output=True,
        text=True,
        check=False,
        timeout=HANG,
    )
    return Result(done.returncode, done.stdout, done.stderr)


def start(*arguments: object, cwd: Path, **changes: str) -> Forked:
    """Start `python ARGUMENTS…` as a fork of a process that has imported torch."""
    return Forked([*map(str, arguments)], str(cwd), environment(**changes))


def fork(*arguments: object, cwd: Path, **changes: str) -> Result:
    """Run `python ARGUMENTS…` to its end, as a fork of a process that has imported torch."""
    process = start(*arguments, cwd=cwd, **changes)
    out, err = process.communicate(timeout=HANG)
    return Result(process.wait(), out, err)


def last(folder: Path) -> Checkpoint:
    """The last checkpoint of a run."""
    return load_checkpoint(RunFolder(folder).last)


def best(folder: Path) -> Checkpoint:
    """The best checkpoint of a run."""
    return load_checkpoint(RunFolder(folder).best)


def history(folder: Path) -> list[dict[str, str]]:
    """The rows of the history without the seconds, as text because NaN is not equal to itself."""
    rows = RunFolder(folder).history()
    return [{key: repr(value) for key, value in row.items() if key != "seconds"} for row in rows]


def bits(arrays: dict[str, np.ndarray]) -> dict[str, tuple[str, tuple[int, ...], bytes]]:
    """Convert arrays to values that `==` compares bit for bit."""
    return {name: (array.dtype.str, array.shape, array.tobytes()) for name, array in arrays.items()}
