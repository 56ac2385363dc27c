"""The history of a run as an event file for TensorBoard: one scalar per column and epoch."""

import contextlib
import math
import struct
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
    """A new event file in a folder, which continues earlier ones with the epochs of a history."""

    def __init__(self, folder: Path, history: Sequence[Row]) -> None:
        # Not SummaryWriter, which writes in a thread, where a full disk would not end the run.
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        self._folder, self._written = folder, 0
        folder.mkdir(exist_ok=True)
        earlier = sorted(folder.glob(FILES))
        recorded = {epoch for file in earlier for epoch in _epochs(file.read_bytes())}
        while self._written < len(history) and self._written + 1 in recorded:
            self._written += 1
        # An absolute path, because tensorboardX uploads what is written to `s3:…` or `gs:…`. The number keeps
        # apart the files of one second, which otherwise have the same name.
        self._writer = EventsWriter(str(folder.resolve() / "events"), f".{len(earlier)}")
        # TensorBoard discards epochs from this one on, in case an older checkpoint was restored.
        start = SessionLog(status=SessionLog.START)
        self._writer.write_event(Event(wall_time=time.time(), step=self._written + 1, session_log=start))

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
    """Start an event file in `folder`, with the epochs of `history` that earlier files do not contain.

    Raises:
        UserError: it cannot be written.
    """
    try:
        events = EventFile(folder, history)
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror or error})") from error
    try:
        events.write(history)
        yield events
    finally:
        events.close()


def _epochs(content: bytes) -> Iterator[int]:
    """The epochs in an event file, up to a damaged or incomplete record, where TensorBoard stops too.

    A record is the length of its data (8 bytes), a checksum of the length (4), the data, and a checksum of it (4).
    """
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.record_writer import masked_crc32c

    start = 0
    while start + 12 <= len(content):
        length, of_length = struct.unpack_from("<QI", content, start)
        end = start + 12 + length
        data = content[start + 12 : end]
        if of_length != masked_crc32c(content[start : start + 8]) or end + 4 > len(content):
            return
        if struct.unpack_from("<I", content, end) != (masked_crc32c(data),):
            return
        event = Event.FromString(data)
        if event.HasField("summary"):
            yield event.step
        start = end + 4
