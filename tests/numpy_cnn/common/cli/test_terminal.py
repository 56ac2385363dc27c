"""Whole processes: start-up time, colours, closed pipes."""

from __future__ import annotations

import contextlib
import os
import pty
import re
import subprocess
import sys
from pathlib import Path

import pytest
from programs import (
    HANG,
    WITHOUT_PICTURES,
    environment,
    spawn,
)

from numpy_cnn.common.training.run_folder import RunFolder

COMMANDS = ["train", "evaluate", "predict", "export", "summary", "plot", "walkthrough", "demo", "shift-study"]


def test_help_is_quick(program: str, tmp_path: Path) -> None:
    """Prints the help of every command in one process, which must not import a slow library."""
    runner = (
        "import runpy, sys\n"
        f"for command in ([], *([name] for name in {COMMANDS!r})):\n"
        f"    sys.argv = [{program!r}, *command, '--help']\n"
        "    try:\n"
        f"        runpy.run_module({program!r}, run_name='__main__', alter_sys=True)\n"
        "    except SystemExit as stop:\n"
        "        print('\\ncode', stop.code)\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules}))\n"
    )
    result = spawn("-c", runner, cwd=tmp_path)
    *pages, loaded = result.out.split("\ncode 0\n")
    assert len(pages) == 1 + len(COMMANDS), result.err
    for command, page in zip(("", *COMMANDS), pages, strict=True):
        assert page.startswith(f"usage: python -m {program} {command}".rstrip())
    for name in COMMANDS:
        assert f"• {name} " in pages[0]
    assert "numpy_cnn" in loaded
    slow = ("torch", "torchvision", "matplotlib", "hypothesis", "sklearn")
    assert not [name for name in slow if f"'{name}'" in loaded]


def on_a_terminal(*arguments: str, cwd: Path, **changes: str) -> str:
    """Everything that `python -m numpy_cnn`, without pictures, writes to a terminal."""
    ours, its = pty.openpty()
    variables = environment(TERM="xterm-256color", **changes)
    process = subprocess.Popen([sys.executable, "-c", WITHOUT_PICTURES, "numpy_cnn", *arguments],
                               cwd=cwd, env=variables, stdin=its, stdout=its, stderr=its)  # fmt: skip
    os.close(its)
    reported = b""
    with contextlib.suppress(OSError):  # Linux raises when the other end is closed
        while part := os.read(ours, 4096):
            reported += part
    os.close(ours)
    process.wait(timeout=HANG)
    return reported.decode()


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("plot", "--help"), ("--lr", "x"), ("--arch", "tiny", "--epochs", "1", "--out", "run")],
    ids=" ".join,
)
def test_a_terminal_gets_colours_unless_they_are_disabled(arguments: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "loud").mkdir()
    loud = on_a_terminal(*arguments, cwd=tmp_path / "loud")
    quiet = on_a_terminal(*arguments, cwd=tmp_path, NO_COLOR="1")
    colour = re.compile(r"\x1b\[[0-9;]*(3[0-8]|9[0-7])[0-9;]*m")
    if arguments not in [("--help",), ("--lr", "x")]:  # these short texts have no colours
        assert colour.search(loud)
    assert not colour.search(quiet)
    assert "Traceback" not in loud + quiet


@pytest.mark.parametrize("arguments", [("summary",), ("--help",), ("evaluate", "CHECKPOINT")], ids=lambda a: a[0])
def test_a_reader_that_closes_the_pipe_early_is_not_an_error(
    arguments: tuple[str, ...], trained: dict[str, Path], tmp_path: Path
) -> None:
    path = str(RunFolder(trained["numpy_cnn"]).best)
    typed = [path if argument == "CHECKPOINT" else argument for argument in arguments]
    process = subprocess.Popen(
        [sys.executable, "-m", "numpy_cnn", *typed],
        cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(timeout=HANG) == 0
