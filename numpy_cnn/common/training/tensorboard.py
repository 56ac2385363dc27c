"""The history of a run as an event file for TensorBoard: one scalar per column and epoch."""

import contextlib
import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.training.history import COLUMNS, Row

EVENTS = "tensorboard"  # the folder in that of the run
FILES = "events.out.tfevents.*"  # TensorBoard's name


def check_tensorboardx() -> None:
    """Check that event files can be written.

    Raises:
        UserError: tensorboardX is not installed, or does not work with the installed protobuf.
    """
    try:
        # Imported only for this flag: tensorboardX imports torch if that is installed.
        import tensorboardX  # noqa: F401  # only to see whether it works
    except (ImportError, TypeError) as error:  # protobuf raises TypeError for classes of another release
        reason = str(error).partition("\n")[0]
        raise UserError(
            f"event files for TensorBoard need tensorboardX ({reason}): pip install 'tensorboardX>=2.6.1'"
        ) from error


class EventFile:
    """The event file in a folder, with the epochs of a history."""

    def __init__(self, folder: Path) -> None:
        # Not SummaryWriter, which writes in a thread, where a full disk would not end the run.
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        self._folder, self._written = folder, 0
        folder.mkdir(exist_ok=True)
        for earlier in folder.glob(FILES):
            earlier.unlink()
        # An absolute path, because tensorboardX uploads what is written to `s3:…` or `gs:…`.
        self._writer = EventsWriter(str(folder.resolve() / "events"))
        # A TensorBoard that displays the earlier file discards its epochs.
        start = SessionLog(status=SessionLog.START)
        self._writer.write_event(Event(wall_time=time.time(), step=0, session_log=start))

    def write(self, history: Sequence[Row]) -> None:
        """Append the epochs of the history that are new, without values that are NaN.

        Raises:
            UserError: the file cannot be written.
        """
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.proto.summary_pb2 import Summary

        now = time.time()
        try:
            for epoch, row in enumerate(history[self._written :], start=self._written + 1):
                ended = now - sum(later["seconds"] for later in history[epoch:])
                scalars = [
                    Summary.Value(tag=name, simple_value=row[name])
                    for name in COLUMNS[1:]
                    if not math.isnan(row[name])
                ]
                # One record, which a reader reads completely or not at all.
                self._writer.write_event(Event(wall_time=ended, step=epoch, summary=Summary(value=scalars)))
            self._writer.flush()
        except OSError as error:
            raise UserError(f"{self._folder}: cannot be written ({error.strerror or error})") from error
        self._written = len(history)

    def close(self) -> None:
        """Close the file; `write` has flushed it."""
        with contextlib.suppress(OSError):  # of an earlier `write`, which reported it
            self._writer.close()


@contextlib.contextmanager
def event_file(folder: Path, history: Sequence[Row]) -> Iterator[EventFile]:
    """Start the event file in `folder` with the epochs of `history`; it replaces those of earlier processes.

    Raises:
        UserError: it cannot be written.
    """
    try:
        events = EventFile(folder)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror or error})") from error
    try:
        events.write(history)
        yield events
    finally:
        events.close()
