"""One process per run folder; files that a crash left incomplete are restored."""

from __future__ import annotations

import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from programs import HANG, best, bits, call, error_of, fork, history, last, start, succeed

from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.training.checkpoint import save_checkpoint
from numpy_cnn.common.training.lock import NAME, locked
from numpy_cnn.common.training.run_folder import RunFolder

pytestmark = pytest.mark.usefixtures("no_pictures")
SMALL = ("--limit", 80, "--batch-size", 20, "--filters", 2, "--hidden", 6)
ENDLESS = ("--limit", 100, "--batch-size", 1, "--epochs", 10_000, "--schedule", "constant")


@pytest.mark.parametrize(
    ("second", "typed"), [("torch_cnn", ("--resume",)), ("numpy_cnn", (*ENDLESS, "--out"))], ids=["resume", "out"]
)
def test_a_second_process_is_rejected_and_the_first_continues(tmp_path: Path, second: str, typed: tuple) -> None:
    process = start("-m", "numpy_cnn", *ENDLESS, "--out", "run", cwd=tmp_path)
    try:
        assert process.stderr.readline().startswith("epoch 1/")
        refused = fork("-m", second, *typed, "run", cwd=tmp_path)
        assert refused.code == 2
        (line,) = refused.err.splitlines()
        owner = f"run: in use: process {process.pid} on "
        assert owner in line or "--out run: already contains a run" in line
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        _, report = process.communicate(timeout=HANG)
    finally:
        process.kill()
        process.communicate()
    assert process.returncode == 143, report
    assert "saved run/last.safetensors" in report
    assert not (tmp_path / "run" / NAME).exists()
    assert len(history(tmp_path / "run")) == last(tmp_path / "run").progress.epoch


@pytest.mark.parametrize(
    "content",
    ["", "1 elsewhere\n", f"{os.getpid()} here\n", "\0" * 99],
    ids=["empty", "another host", "this process", "damaged"],  # the same ids in every pytest worker
)
def test_a_stale_lock_is_ignored(tmp_path: Path, content: str) -> None:
    """Its owner was killed or ran on another machine."""
    (tmp_path / NAME).write_text(content)
    with locked(tmp_path):
        with pytest.raises(UserError, match="in use: process"), locked(tmp_path):
            pass
        assert (tmp_path / NAME).read_text().startswith(f"{os.getpid()} ")
    assert not (tmp_path / NAME).exists()


def test_a_folder_that_cannot_be_locked_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(UserError, match="cannot be locked"), locked(tmp_path / "file"):
        pass


@pytest.mark.parametrize("left", [(), ("last.safetensors.partial",), ("history.csv", "training_curves.png")])
def test_a_run_that_ended_before_its_first_checkpoint_can_be_started_again(tmp_path: Path, left: tuple) -> None:
    (tmp_path / "run").mkdir()
    for name in left:
        (tmp_path / "run" / name).write_bytes(b"half of it")
    succeed("numpy_cnn", "train", *SMALL, "--epochs", 1, "--out", tmp_path / "run")
    assert len(history(tmp_path / "run")) == 1


def test_a_missing_best_checkpoint_is_restored_without_training(tmp_path: Path) -> None:
    """The process was killed after writing last.safetensors and before writing best.safetensors."""
    succeed("numpy_cnn", "train", *SMALL, "--epochs", 3, "--validation", 0, "--out", tmp_path / "run")
    whole = best(tmp_path / "run")
    save_checkpoint(
        RunFolder(tmp_path / "run").best,
        replace(whole, progress=replace(whole.progress, epoch=2, best_epoch=2), history=None),
    )
    result = succeed("numpy_cnn", "train", "--resume", tmp_path / "run")
    assert "epoch 3 of 3" in result.out
    assert bits(best(tmp_path / "run").parameters) == bits(whole.parameters)
    RunFolder(tmp_path / "run").best.unlink()
    assert "epoch 3 of 3" in succeed("numpy_cnn", "train", "--resume", tmp_path / "run").out


def test_a_best_checkpoint_of_a_later_epoch_is_replaced(tmp_path: Path) -> None:
    """Older versions wrote best.safetensors before last.safetensors."""
    succeed("numpy_cnn", "train", *SMALL, "--epochs", 3, "--validation", 0, "--out", tmp_path / "run")
    succeed("numpy_cnn", "train", *SMALL, "--epochs", 2, "--validation", 0, "--out", tmp_path / "short")
    ahead = RunFolder(tmp_path / "run").best.read_bytes()
    RunFolder(tmp_path / "short").best.write_bytes(ahead)
    succeed("numpy_cnn", "train", "--resume", tmp_path / "short", "--epochs", 2)
    assert best(tmp_path / "short").progress.epoch == 2
    RunFolder(tmp_path / "short").best.write_bytes(ahead)
    assert "epoch 3 of 3" in succeed("numpy_cnn", "train", "--resume", tmp_path / "short", "--epochs", 3).out


def test_a_best_checkpoint_that_cannot_be_restored_is_reported_before_training(tmp_path: Path) -> None:
    flags = (*SMALL, "--schedule", "constant", "--lr", "0.1", "--validation", "0.4")
    succeed("numpy_cnn", "train", *flags, "--epochs", 8, "--out", tmp_path / "run")
    assert last(tmp_path / "run").progress.best_epoch < 8
    RunFolder(tmp_path / "run").best.unlink()
    message = error_of_resume(tmp_path / "run")
    assert "best.safetensors: expected the network after epoch " in message
    assert "found none, or a damaged one" in message


def error_of_resume(folder: Path) -> str:
    result = call("numpy_cnn", "train", "--resume", folder, "--epochs", 9)
    assert result.code == 2
    return result.err.splitlines()[-1]


def test_a_file_instead_of_a_run_folder_is_reported(tmp_path: Path) -> None:
    (tmp_path / "a.safetensors").write_bytes(b"")
    message = error_of("numpy_cnn", "train", "--resume", tmp_path / "a.safetensors")
    assert message.endswith("a file, not the folder of a run")
    (tmp_path / "last.safetensors").write_bytes(b"")
    message = error_of("numpy_cnn", "plot", tmp_path / "last.safetensors")
    assert message.endswith(f"a file, not the folder of a run; name its folder, {tmp_path}")
