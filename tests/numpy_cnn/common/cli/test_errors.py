"""Mistakes give one line and exit code 2, and leave no file."""

from __future__ import annotations

import os
import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from programs import (
    best,
    bits,
    call,
    error_of,
    last,
    succeed,
)

from numpy_cnn.common.cli import flags
from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.training.checkpoint import save_checkpoint
from numpy_cnn.common.training.history import COLUMNS
from numpy_cnn.common.training.run_folder import RunFolder

QUICK = ("--limit", 80, "--batch-size", 20, "--epochs", 1)


@pytest.mark.parametrize(
    ("typed", "reported"),
    [
        (("--kernel-size", "20"), "conv1 needs at least 20 pixels, but has 8 (size 8, padding 0 on"),
        (("--stride", "-1"), "stride must be an integer of at least 1, got -1"),
        (("--stride", "0"), "stride must be an integer of at least 1, got 0"),
        (("--padding", "-2"), "padding must be an integer of at least 0, got -2"),
        (("--hidden", "-5"), "hidden must be an integer of at least 1, got -5"),
        (("--classes", "0"), "classes must be an integer of at least 1, got 0"),
        (("--channels", "3"), "--channels 3: the images of digits have 1"),
        (("--image-size", "5", "8"), "the network takes 5x8 images and digits has 8x8"),
        (("--arch", "edge", "--filters", "2"), "got 2 filters of 3x3 over 1 channels"),
        (("--batch-size", "0"), "--batch-size must be at least 1, got 0"),
        (("--epochs", "0"), "--epochs must be at least 1, got 0"),
        (("--seed", "-1"), "--seed must not be negative, got -1"),
        (("--limit", "0"), "cannot train on 0 images: the limit must be at least 1"),
        (("--limit", "1439"), "cannot take 1439 training images: digits has 1438"),
        (("--limit", "1"), "a validation fraction of 0.1 holds out 1 of 1 images"),
        (("--validation", "1"), "--validation must be in [0, 1), got 1.0"),
        (("--validation", "nan"), "--validation must be in [0, 1), got nan"),
        (("--lr", "-0.1"), "--lr must be between 0 and 1e+30, got -0.1"),
        (("--lr", "inf"), "--lr must be between 0 and 1e+30, got inf"),
        (("--weight-decay", "nan"), "--weight-decay must be between 0 and 1e+30, got nan"),
        (("--optimizer", "sgd", "--dampening", "inf"), "--dampening must be between -1e+30 and 1e+30, got inf"),
        (("--momentum", "0.9"), "--momentum belongs to --optimizer sgd or rmsprop, not adam"),
        (("--nesterov",), "--nesterov belongs to --optimizer sgd, not adam"),
        (("--schedule", "step"), "--schedule step needs a --step-size of at least 1 epoch, got None"),
        (("--gamma", "0.5"), "--step-size and --gamma belong to --schedule step, not cosine"),
        (("--betas", "0.9", "1"), "--betas must be in [0, 1), got 0.9 and 1.0"),
        (("--optimizer", "sgd", "--nesterov"), "--nesterov needs --momentum above 0 and --dampening 0, got 0.0"),
        (("--epoch", "3"), "unknown option --epoch: did you mean --epochs? (train --help lists all)"),
        (("--batchsize=3",), "unknown option --batchsize=3: did you mean --batch-size? (train --help lists all)"),
        (("--xyzzy",), "unknown option --xyzzy (train --help lists all)"),
        (("train", "again"), "unknown argument again (train --help lists all)"),
        (("trian",), "unknown command 'trian': did you mean train? (commands: train, evaluate, "),
        (("summary", "--filter", "3"), "unknown option --filter: did you mean --filters? (summary"),
        (("summary", "--kernel-size", "9"), "conv1 needs at least 9 pixels, but has 8"),
        (("evaluate", "none.safetensors"), "none.safetensors: no such checkpoint"),
        (("predict", "none.safetensors"), "predict: name at least one picture, as in: predict digit.png"),
        (("predict", "none.safetensors", "digit.png"), "none.safetensors: no such checkpoint"),
        (("predict", "none.pth", "digit.png"), "none.pth: no such checkpoint"),
        (("plot",), "plot: name at least one run folder"),
        (("plot", "nowhere"), "nowhere: no run found: there is no last.safetensors in it"),
        (("--resume", "nowhere"), "nowhere: no run found: there is no last.safetensors in it"),
        (("--out", "a", "--resume", "b"), "--out a and --resume b exclude each other"),
        (("--json", "nowhere/result.json"), "--json nowhere/result.json: there is no folder nowhere"),
        (("--json", "."), "--json .: that is a folder, not a file"),
        (("--filters", "1000000000000"), "not enough memory: Unable to allocate"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)  # fmt: skip
def test_a_mistake_gives_one_line(here: Path, program: str, typed: tuple[str, ...], reported: str) -> None:
    message = error_of(program, *typed) if "memory" not in reported else call(program, *typed).err
    assert reported in message
    assert "Traceback" not in message
    left = [path for path in here.rglob("*") if path.is_file()]
    assert left == []


def test_a_file_that_is_not_an_image_is_reported(trained: dict[str, Path], program: str, tmp_path: Path) -> None:
    path = tmp_path / "letter.png"
    path.write_text("no image")
    message = error_of(program, "predict", RunFolder(trained[program]).best, path)
    assert message == f"{path} is not an image that can be read, but a text file: a PNG or JPEG is expected"
    message = error_of(program, "predict", RunFolder(trained[program]).best, tmp_path / "none.png")
    assert message == f"cannot read the image {tmp_path / 'none.png'}: No such file or directory"


def test_a_folder_that_cannot_be_created_is_reported(here: Path, program: str) -> None:
    (here / "file").write_text("")
    assert error_of(program, "train", *QUICK, "--out", "file") == "--out file: that is a file, not a folder"
    result = call(program, "train", *QUICK, "--out", "file/run")
    assert (result.code, result.err) == (2, f"{program}: error: file/run: Not a directory\n")


def test_a_place_without_permission_is_reported(here: Path, program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)  # the tests may run as root
    message = error_of(program, "train", *QUICK, "--json", "result.json")
    assert message == "--json result.json: no permission to write it"
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [
        "epoch,loss\n1,2\n",
        ",".join(COLUMNS) + "\n1,x,0,0,0,0\n",
        ",".join(COLUMNS) + "\n1,0,0,0\n",
        ",".join(COLUMNS) + "\nnan,0,0,0,0,0\n",
        ",".join(COLUMNS) + "\n2,0,0,0,0,0\n",
        b"\xff\xfe\0\0",
    ],
)
def test_a_corrupt_history_is_reported_if_an_older_checkpoint_needs_it(
    trained: dict[str, Path], program: str, tmp_path: Path, content: str | bytes
) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained[program], run)
    save_checkpoint(run / "last.safetensors", replace(last(run), history=None))
    (run / "history.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    before = bits(last(run).parameters)
    for arguments in (("plot", run), ("train", "--resume", run, "--epochs", 9)):
        message = error_of(program, *arguments)
        assert message.startswith(f"{run / 'history.csv'}: damaged; ")
    assert bits(last(run).parameters) == before


@pytest.mark.parametrize("torn", [b"7,0.1,0.9", b"7,0.1", b"\n7,x,,", b"\xff\xfe"[:1]])
@pytest.mark.usefixtures("no_pictures")
def test_a_torn_row_after_the_epoch_of_an_older_checkpoint_is_dropped(
    trained: dict[str, Path], program: str, tmp_path: Path, torn: bytes
) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained[program], run)
    save_checkpoint(run / "last.safetensors", replace(last(run), history=None))
    before = (run / "history.csv").read_bytes()
    (run / "history.csv").write_bytes(before + torn)
    succeed(program, "train", "--resume", run)
    assert (run / "history.csv").read_bytes() == before


def test_a_checkpoint_of_another_architecture_is_reported(
    trained: dict[str, Path], program: str, tmp_path: Path
) -> None:
    whole = best(trained[program])
    wrong = replace(whole, architecture=replace(whole.architecture, filters=4))
    save_checkpoint(tmp_path / "wrong.safetensors", wrong)
    reported = f"{tmp_path / 'wrong.safetensors'}: parameters of another architecture: conv1.weight has the shape"
    for arguments in (("evaluate",), ("predict", "x.png")):
        command, *rest = arguments
        assert error_of(program, command, tmp_path / "wrong.safetensors", *rest).startswith(reported)


@pytest.mark.usefixtures("no_pictures")
def test_a_full_disk_is_reported_and_the_run_can_continue(
    tmp_path: Path, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, content: memoryview) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        result = call(program, "train", *QUICK, "--out", tmp_path / "run")
    assert result.code == 2
    assert result.err.splitlines()[-1].endswith("run.toml: cannot be written (No space left on device)")
    assert "Traceback" not in result.err
    succeed(program, "train", *QUICK, "--out", tmp_path / "run")


def test_torch_cnn_without_torch_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch_cnn.__main__.find_spec", lambda name: None)
    for arguments in (("train", *QUICK, "--dry-run", "--data", "mnist"),):
        message = error_of("torch_cnn", *arguments)
        assert message == "PyTorch is not installed: pip install torch torchvision"


def test_errors_of_a_command_give_one_line_and_an_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    def raises(error: BaseException):
        def command() -> int:
            raise error

        return command

    cases = [
        (UserError("two\nlines"), 2, "p: error: two lines\n"),
        (KeyboardInterrupt(), 130, "p: interrupted\n"),
        (MemoryError("8 GiB"), 2, "p: error: not enough memory: 8 GiB\n"),
        (PermissionError(13, "Permission denied", "file"), 2, "p: error: file: Permission denied\n"),
        (OSError(28, "No space left on device"), 2, "p: error: No space left on device\n"),
        (OSError("odd"), 2, "p: error: odd\n"),
    ]
    for error, code, reported in cases:
        assert flags.run("p", raises(error)) == code
        assert capsys.readouterr().err == reported
    with pytest.raises(ZeroDivisionError):  # a bug in the program keeps its traceback
        flags.run("p", raises(ZeroDivisionError()))
