"""Help and errors of the command line, in words that a user understands."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from programs import HANG, call, environment, error_of

COMMANDS = [
    "train",
    "evaluate",
    "predict",
    "export",
    "import",
    "summary",
    "plot",
    "walkthrough",
    "demo",
    "shift-study",
]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("--learning-rate", "--lr"),
        ("--learning_rate=0.1", "--lr"),
        ("--batch", "--batch-size"),
        ("--num-epochs", "--epochs"),
        ("--dataset", "--data"),
        ("--wd", "--weight-decay"),
        ("--output-dir", "--out"),
        ("--epcohs", "--epochs"),
        ("--early-stopping", "--patience"),
        ("--gpu", "--device"),
    ],
)
def test_option_names_of_other_programs_get_a_suggestion(program: str, typed: str, meant: str) -> None:
    assert (
        error_of(program, typed, "1") == f"unknown option {typed}: did you mean {meant}? (train --help lists all)"
    )


@pytest.mark.parametrize(("typed", "meant"), [("eval", "evaluate"), ("infer", "predict"), ("trian", "train")])
def test_command_names_of_other_programs_get_a_suggestion(program: str, typed: str, meant: str) -> None:
    assert f"unknown command '{typed}': did you mean {meant}?" in error_of(program, typed)


@pytest.mark.parametrize("typed", ["--workers", "--xyzzy", "--fp16"])
def test_an_unrelated_name_gets_no_suggestion(typed: str) -> None:
    assert error_of("numpy_cnn", typed, "1") == f"unknown option {typed} (train --help lists all)"


@pytest.mark.parametrize("command", COMMANDS)
def test_help_has_no_internals_and_fits_a_terminal(
    command: str, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    shown = call(program, command, "--help").out
    for internal in ("{None}", "(default: None)", "[bold]", "[[PATH", "<class", "(default: )"):
        assert internal not in shown
    assert max(map(len, shown.splitlines()[1:])) <= 80, "only tyro's usage line may be longer"


def test_the_list_of_commands_names_the_default(program: str) -> None:
    shown = call(program, "--help").out
    assert "(default: train)" in shown
    assert "(required)" not in shown


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (("--limit", "x"), "expected a whole number, got 'x'"),
        (("--epochs", "1.5"), "expected a whole number, got '1.5'"),
        (("--lr", "fast"), "expected a number, got 'fast'"),
        (("--image-size", "3"), "Expected 2 values"),
    ],
)
def test_a_value_of_the_wrong_kind_is_explained_in_plain_words(typed: tuple[str, ...], expected: str) -> None:
    result = call("numpy_cnn", *typed)
    assert result.code == 2
    assert expected in result.err
    assert "NoneType" not in result.err
    assert "[bold]" not in result.err


@pytest.mark.parametrize("module", ["numpy_cnn summary", "parity list", "numpy_cnn --help"])
def test_a_reader_that_stops_early_is_not_an_error(module: str, tmp_path: Path) -> None:
    package, argument = module.split()
    reader, writer = os.pipe()
    os.close(reader)  # as `| head` does after its last line
    command = [sys.executable, "-m", package, argument]
    done = subprocess.run(
        command, cwd=tmp_path, stdout=writer, stderr=subprocess.PIPE, env=environment(), check=False, timeout=HANG
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, b"")
