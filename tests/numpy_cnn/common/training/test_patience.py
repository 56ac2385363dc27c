"""Early stopping, and the learning rate in the history."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from programs import error_of, history, last, succeed

from numpy_cnn.common.training import checkpoint as files
from numpy_cnn.common.training.history import COLUMNS, OLDER, from_csv, to_csv

pytestmark = pytest.mark.usefixtures("no_pictures")
SMALL = ("--limit", 80, "--batch-size", 20, "--filters", 2, "--hidden", 6)


def test_training_stops_when_the_validation_stops_improving(program: str, tmp_path: Path) -> None:
    flags = (*SMALL, "--lr", 0, "--epochs", 9)  # a step size of 0: the first epoch stays the best
    result = succeed(program, *flags, "--patience", 2, "--out", tmp_path / "run")
    assert len(history(tmp_path / "run")) == 3
    assert "stopped early: 2 epochs without a better validation" in result.err
    again = succeed(program, "--resume", tmp_path / "run")
    assert "was already stopped by --patience; pass a larger --patience to train more" in again.err
    assert len(history(tmp_path / "run")) == 3
    succeed(program, "--resume", tmp_path / "run", "--patience", 4)
    assert len(history(tmp_path / "run")) == 5


def test_a_run_that_improves_is_not_stopped(tmp_path: Path) -> None:
    succeed("numpy_cnn", "--limit", 300, "--epochs", 4, "--patience", 4, "--out", tmp_path / "run")
    assert len(history(tmp_path / "run")) == 4


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        (("--patience", 0), "--patience must be at least 1, got 0"),
        (("--patience", 2, "--validation", 0), "--patience needs a validation split, and --validation is 0"),
    ],
)
def test_an_invalid_patience_gives_one_line(flags: tuple, expected: str) -> None:
    assert error_of("numpy_cnn", *flags, "--dry-run") == expected


def test_the_history_contains_the_step_size_at_the_end_of_each_epoch(program: str, tmp_path: Path) -> None:
    succeed(program, *SMALL, "--lr", 0.01, "--epochs", 2, "--out", tmp_path / "run")
    batches = 4  # with 72 images
    expected = [
        0.01 * (1 + math.cos(math.pi * step / (2 * batches))) / 2 for step in (batches - 1, 2 * batches - 1)
    ]
    assert [float(row["lr"]) for row in history(tmp_path / "run")] == pytest.approx(expected, rel=1e-12)


def test_files_of_older_versions_are_read(tmp_path: Path) -> None:
    """They have no setting `patience` and no step size in the history."""
    succeed("numpy_cnn", *SMALL, "--epochs", 2, "--out", tmp_path / "run")
    run = tmp_path / "run"
    new = last(run)
    row = ",".join(["1", *["0.5"] * 5])
    rows = from_csv(f"{','.join(OLDER)}\r\n{row}\r\n".encode())
    assert [*rows[0]] == [*COLUMNS]
    assert math.isnan(rows[0]["lr"])
    assert b",nan\r\n" in to_csv(rows)

    config = new.config.to_json()
    del config["patience"]
    stored = replace(new, history=None)
    content = files.to_bytes(stored)
    size = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + size])
    metadata = json.loads(header["__metadata__"][files.KEY])
    metadata |= {"config": config, "history": [[row[column] for column in OLDER] for row in new.history]}
    del metadata["sha256"]
    tensors = new.parameters | {files.OPTIMIZER + name: array for name, array in new.optimizer_state.items()}
    metadata["sha256"] = files._digest(tensors, metadata)
    header["__metadata__"][files.KEY] = json.dumps(metadata)
    text = json.dumps(header).encode()
    (run / "last.safetensors").write_bytes(len(text).to_bytes(8, "little") + text + content[8 + size :])

    old = last(run)
    assert old.config.patience is None
    assert [row["train_loss"] for row in old.history] == [row["train_loss"] for row in new.history]
    assert all(math.isnan(row["lr"]) for row in old.history)
    succeed("numpy_cnn", "--resume", run, "--epochs", 3)
    assert np.isfinite(float(history(run)[2]["lr"]))
