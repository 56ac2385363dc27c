"""The event file for TensorBoard, read back record by record."""

from __future__ import annotations

import errno
import struct
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from programs import call, error_of, succeed
from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.record_writer import masked_crc32c
from test_interrupt import interrupt_in_the_second_epoch

from numpy_cnn.common.training.history import COLUMNS
from numpy_cnn.common.training.run_folder import RunFolder

pytestmark = pytest.mark.usefixtures("no_pictures")
SMALL = ("--limit", 80, "--batch-size", 20, "--filters", 2, "--hidden", 6, "--schedule", "constant")


def records(content: bytes) -> list[Event]:
    """The events of a file: each is its length and its bytes, each of which is followed by a checksum."""
    found = []
    while content:
        length, of_length = struct.unpack("<QI", content[:12])
        data, (of_data,) = content[12 : 12 + length], struct.unpack("<I", content[12 + length : 16 + length])
        assert (of_length, of_data) == (masked_crc32c(content[:8]), masked_crc32c(data))
        found.append(Event.FromString(data))
        content = content[16 + length :]
    return found


def events(run: Path) -> list[Event]:
    """The events of all files in the run's folder for TensorBoard, in its order."""
    found = []
    for file in sorted((run / "tensorboard").iterdir()):
        assert file.name.startswith("events.out.tfevents.")
        version, start, *rest = records(file.read_bytes())
        assert (version.file_version, start.session_log.status) == ("brain.Event:2", SessionLog.START)
        assert start.step == len(found) + 1
        found += rest
    return found


def assert_same_as_history(run: Path) -> None:
    found = events(run)
    scalars = [(event.step, {value.tag: value.simple_value for value in event.summary.value}) for event in found]
    expected = [
        (row["epoch"], {name: float(np.float32(row[name])) for name in COLUMNS[1:] if not np.isnan(row[name])})
        for row in RunFolder(run).history()
    ]
    assert scalars == expected
    assert found == sorted(found, key=lambda event: event.wall_time)


def files(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}


def test_an_event_file_has_the_columns_of_the_history(
    program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    succeed(program, *SMALL, "--epochs", 2, "--out", "without")
    succeed(program, *SMALL, "--epochs", 2, "--tensorboard", "--out", "run")
    assert_same_as_history(Path("run"))
    assert len(events(Path("run"))) == 2
    expected = {name.replace("without", "run") for name in files(Path()) if name.startswith("without")}
    written = {name for name in files(Path()) if not name.startswith("without")}
    assert {name for name in written - expected if not name.startswith("run/tensorboard/")} == set()


def test_values_that_are_not_numbers_are_omitted(tmp_path: Path) -> None:
    run = tmp_path / "run"
    succeed("numpy_cnn", *SMALL, "--validation", 0, "--epochs", 1, "--tensorboard", "--out", run)
    assert_same_as_history(run)
    assert {value.tag for value in events(run)[0].summary.value} == {
        "train_loss",
        "train_accuracy",
        "seconds",
        "lr",
    }


@pytest.mark.parametrize("flags", [(), ("--tensorboard",)], ids=["", "typed again"])
def test_a_resumed_run_continues_the_event_file(program: str, flags: tuple, tmp_path: Path) -> None:
    run = tmp_path / "run"
    succeed(program, *SMALL, "--epochs", 2, "--tensorboard", "--out", run)
    (file,) = (run / "tensorboard").iterdir()
    earlier = file.read_bytes()
    succeed(program, "--resume", run, "--epochs", 3, *flags)
    succeed(program, "--resume", run, "--epochs", 4, *flags)
    assert file.read_bytes() == earlier, "a running TensorBoard has this file open"
    assert_same_as_history(run)
    assert [event.step for event in events(run)] == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "damage", [lambda content: content[:-5], lambda content: content[:-5] + b"\0" + content[-4:]]
)
def test_an_epoch_whose_record_is_damaged_is_written_again(
    damage: Callable[[bytes], bytes], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    succeed("numpy_cnn", *SMALL, "--epochs", 2, "--tensorboard", "--out", run)
    (file,) = (run / "tensorboard").iterdir()
    whole = file.read_bytes()
    file.write_bytes(damage(whole))
    succeed("numpy_cnn", "--resume", run, "--epochs", 3)
    (new,) = {*(run / "tensorboard").iterdir()} - {file}
    _, start, *rest = records(new.read_bytes())
    assert start.step == 2, "TensorBoard discards this epoch and later ones"
    assert [event.step for event in rest] == [2, 3]


def test_a_run_started_without_the_flag_can_add_it(tmp_path: Path) -> None:
    run = tmp_path / "run"
    succeed("numpy_cnn", *SMALL, "--epochs", 1, "--out", run)
    succeed("numpy_cnn", "--resume", run, "--epochs", 2)
    assert not (run / "tensorboard").exists()
    succeed("numpy_cnn", "--resume", run, "--epochs", 2, "--tensorboard")
    assert_same_as_history(run)
    assert len(events(run)) == 2


def test_ctrl_c_keeps_the_complete_epochs(program: str, tmp_path: Path) -> None:
    done = interrupt_in_the_second_epoch(program, "--tensorboard", "--out", "run", cwd=tmp_path, presses=1)
    assert done.returncode == 130, done.stderr
    assert_same_as_history(tmp_path / "run")
    assert len(events(tmp_path / "run")) == 1


def test_without_the_package_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    expected = (
        "event files for TensorBoard need tensorboardX (import of tensorboardX halted; None in sys.modules): "
        "pip install 'tensorboardX>=2.6.1'"
    )
    run = tmp_path / "run"
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    assert error_of("numpy_cnn", *SMALL, "--tensorboard", "--out", run) == expected
    assert not run.exists()
    succeed("numpy_cnn", *SMALL, "--epochs", 1, "--out", run)
    (run / "tensorboard").mkdir()
    assert error_of("numpy_cnn", "--resume", run, "--epochs", 2) == expected


def test_a_dry_run_writes_no_event_file(tmp_path: Path) -> None:
    succeed("numpy_cnn", *SMALL, "--tensorboard", "--dry-run", "--out", tmp_path / "run")
    assert not files(tmp_path)


def test_a_folder_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "tensorboard").write_text("a file")
    result = call("numpy_cnn", *SMALL, "--tensorboard", "--out", tmp_path / "run")
    assert result.code == 2
    expected = f"numpy_cnn: error: {tmp_path / 'run' / 'tensorboard'}: cannot be written (File exists)\n"
    assert result.err == expected


def test_a_full_disk_ends_the_run_after_its_checkpoint(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    flush, errors = EventsWriter.flush, [OSError(errno.ENOSPC, "No space left on device")]

    def full_once(writer: EventsWriter) -> None:
        flush(writer)
        if errors and writer._py_recordio_writer._writer.tell() > 200:  # the first epoch
            raise errors.pop()

    run = tmp_path / "run"
    with monkeypatch.context() as patch:
        patch.setattr(EventsWriter, "flush", full_once)
        result = call("numpy_cnn", *SMALL, "--epochs", 2, "--tensorboard", "--out", run)
    assert result.code == 2
    assert result.err.endswith(f"error: {run / 'tensorboard'}: cannot be written (No space left on device)\n")
    succeed("numpy_cnn", "--resume", run)
    assert_same_as_history(run)
    assert len(events(run)) == 2


def test_the_flag_is_no_setting(tmp_path: Path) -> None:
    succeed("numpy_cnn", *SMALL, "--epochs", 1, "--tensorboard", "--out", tmp_path / "run")
    settings = tmp_path / "run" / "run.toml"
    assert "tensorboard" not in settings.read_text()
    settings.write_text("tensorboard = true\n")
    assert "tensorboard does not belong in the file: type --tensorboard" in error_of(
        "numpy_cnn", "--config", settings
    )
