"""One process per run folder: two would overwrite each other's checkpoints and history."""

import contextlib
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from numpy_cnn.common.spec.errors import UserError

NAME = ".lock"


@contextlib.contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the folder's lock.

    The lock belongs to an open file, and the operating system releases it when the process ends for any reason.
    So a lock file left by a killed process or another machine never blocks a run. The file contains the owner's
    process and host for the message below.

    Raises:
        UserError: another process has the lock, or the folder cannot be written.
    """
    from filelock import FileLock, Timeout

    path = folder / NAME
    lock = FileLock(path)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(
            f"{folder}: in use: {_owner(path)} is training there; wait for it to end, or choose another folder"
        ) from None
    except OSError as error:
        raise UserError(f"{folder}: cannot be locked ({error.strerror or error})") from error
    try:
        with contextlib.suppress(OSError):  # the lock does not depend on the text
            path.write_text(f"{os.getpid()} {socket.gethostname()}\n", encoding="utf-8")
        yield
    finally:
        with contextlib.suppress(OSError):  # the folder may be gone
            path.unlink()
        lock.release()


def _owner(path: Path) -> str:
    try:
        process, host = path.read_text(encoding="utf-8").split()
    except (OSError, ValueError):
        return "another process"
    return f"process {process[:10]} on {host[:60]}"
