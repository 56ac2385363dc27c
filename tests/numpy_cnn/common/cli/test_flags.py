"""Help and errors of the command line, in words that a user understands."""

from __future__ import annotations

import os
import re
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
        ("--steps", "--epochs"),
        ("--lrate", "--lr"),
        ("--mini-batch", "--batch-size"),
        ("--max_grad_norm", "--clip-norm"),
        ("--warmup", "--warmup-steps"),
        ("--dropout-rate", "--dropout"),
        ("--weight-init", "--init"),
        ("--translate", "--shift"),
        ("--report-to", "--tensorboard"),
        ("--rotation", "--rotate"),
        ("--manual-seed", "--seed"),
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
        (("--image-size", "3"), "--image-size needs 2 values, got 1: 3"),
        (("--lr",), "--lr needs a value"),
        (("--data", "--epochs", "1"), "--data needs a value, one of digits, mnist"),
        (("--data", "cifar"), "--data cifar: expected digits or mnist"),
        (
            ("--optimizer=Adam",),
            "--optimizer Adam: expected adam, sgd, adamw, rmsprop or adagrad: did you mean adam?",
        ),
        (("--nesterov=true",), "--nesterov takes no value, got 'true': type --nesterov alone, or omit it"),
        (("shift-study", "--pools", "2", "x"), "--pools: expected a whole number, got 'x'"),
        (("shift-study", "--data", "digits"), "--data digits: expected mnist"),
        (("evaluate", "a", "b"), "unknown argument b (evaluate --help lists all)"),
        (("export", "run"), "FILE is missing: type export CKPT FILE"),
        (("demo", "--open"), "unknown option --open (demo --help lists all)"),
        (
            ("evaluate", "--ckpt", "run"),
            "unknown option --ckpt: type the value alone, as in evaluate CHECKPOINT (evaluate --help lists all)",
        ),
        (
            ("predict", "--model", "run", "one.png"),
            "unknown option --model: type the value alone, as in predict [CKPT] IMAGE... (",
        ),
    ],
)
def test_a_mistake_is_explained_in_one_line(typed: tuple[str, ...], expected: str, program: str) -> None:
    assert expected in error_of(program, *typed)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_flag_that_help_lists_is_known(command: str) -> None:
    """The mistakes are found before tyro reads the arguments, from the same dataclasses."""
    listed = re.findall(
        r"^\W (--?[a-z][-\w]*(?:, --?[a-z][-\w]*)*)", call("numpy_cnn", command, "--help").out, re.MULTILINE
    )
    names = [name for names in listed for name in names.split(", ") if name not in ("-h", "--help")]
    assert names
    for name in names:
        assert "unknown option" not in call("numpy_cnn", command, "missing", "missing", name, "x").err


@pytest.mark.parametrize("value", ["-1", "-1e-3", "-inf", "nan"])
def test_negative_numbers_are_values(value: str) -> None:
    assert error_of("numpy_cnn", "--lr", value).startswith("--lr must be between")


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
