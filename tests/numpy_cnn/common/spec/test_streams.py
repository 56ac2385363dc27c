"""Output to closed streams, full disks, closed pipes and narrow encodings."""

from __future__ import annotations

import io
import subprocess
import sys
from contextlib import redirect_stdout
from functools import partial
from pathlib import Path

import pytest
from programs import HANG, PROGRAMS, WITHOUT_PICTURES, environment, last, spawn

import parity.__main__
from numpy_cnn.common.cli.main import main

SMALL = "--limit 80 --batch-size 20 --filters 2 --hidden 6 --epochs 1"


def shell(command: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        f"python() {{ '{sys.executable}' \"$@\"; }}; {command}",
        shell=True, cwd=cwd, env=environment(), capture_output=True, text=True, check=False, timeout=HANG,
    )  # fmt: skip


@pytest.mark.parametrize("closed", ["<&- >&-", "2>&-", "<&- >&- 2>&-", "2>/dev/full"])
def test_a_run_survives_closed_streams(tmp_path: Path, closed: str) -> None:
    (tmp_path / "without_pictures.py").write_text(WITHOUT_PICTURES)
    python = "python -m" if closed == "<&- >&- 2>&-" else "python without_pictures.py"
    done = shell(f"{python} numpy_cnn {SMALL} --out run {closed}", tmp_path)
    assert (done.returncode, "Traceback" in done.stderr) == (0, False)
    assert last(tmp_path / "run").progress.epoch == 1  # output did not end up in the checkpoints


def test_standard_output_on_a_full_disk_gives_one_line(tmp_path: Path) -> None:
    done = shell("python -m numpy_cnn summary >/dev/full", tmp_path)
    assert (done.returncode, done.stderr) == (2, "numpy_cnn: error: No space left on device\n")


RUN = {name: partial(main, program) for name, program in PROGRAMS.items()} | {"parity": parity.__main__.main}


def written(command: list[str], encoding: str) -> tuple[int, bytes]:
    """The exit code of a command, and its output in the given encoding."""
    program, *arguments = command
    content = io.BytesIO()
    with io.TextIOWrapper(content, encoding=encoding) as out, redirect_stdout(out):
        code = RUN[program](arguments)
        out.flush()
        return code, content.getvalue()


@pytest.mark.parametrize("encoding", ["cp1252", "latin-1", "ascii"])
@pytest.mark.parametrize(
    "command", ["numpy_cnn summary", "torch_cnn summary", "parity list", "parity check linear --examples 2"]
)
def test_any_encoding_of_standard_output_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str, command: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, printed = written(command.split(), encoding)
    assert code == 0
    assert printed.decode(encoding)


def test_a_process_writes_in_the_encoding_of_its_environment(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "numpy_cnn", "summary"],
        cwd=tmp_path, env=environment(PYTHONIOENCODING="ascii"), capture_output=True, check=False, timeout=HANG,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.decode("ascii")


def test_source_is_printed_in_the_encoding_that_python_reads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, printed = written(["parity", "new", "conv2d"], "cp1252")
    assert code == 0
    compile(printed, "stub.py", "exec")
    assert not printed.isascii(), "nothing was tested"


_WITHOUT = """
import runpy, sys

MISSING = sys.argv[1]

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == MISSING:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
sys.argv[:2] = ["parity"]
runpy.run_module("parity", run_name="__main__")
"""


@pytest.mark.parametrize(
    ("missing", "command"),
    [
        ("torch", "list"),
        ("torch", "check relu"),
        ("torch", "new relu"),
        ("hypothesis", "list"),
        ("hypothesis", "check relu"),
    ],
)
def test_parity_reports_how_to_install_a_missing_library(tmp_path: Path, missing: str, command: str) -> None:
    done = spawn("-c", _WITHOUT, missing, *command.split(), cwd=tmp_path)
    assert (done.code, done.err) == (2, f"parity: error: parity needs {missing}: pip install {missing}\n")
