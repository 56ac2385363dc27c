"""Atomic writes: after a crash, a full disk or a power cut, a file is either old or new, never mixed."""

import contextlib
import errno
import os
import sys
from pathlib import Path


def replace_file(path: Path, content: bytes) -> None:
    """Write `content` to `path` in one step.

    The bytes are written to `<path>.partial` and synchronized, and only then replace `path`. The folder is
    synchronized as well, because a power cut could otherwise undo the rename. Several processes may write the same
    path: they take turns, and the last one wins. A path that is not a regular file (a pipe, a device) is written
    directly.

    Raises:
        OSError: it cannot be written. The old file, if there was one, is unchanged.
    """
    target = Path(os.path.realpath(path))  # a symbolic link keeps pointing to the file that is replaced
    if target.exists() and not target.is_file():
        descriptor = _open(target, os.O_WRONLY)
        try:
            _write(descriptor, content)
        finally:
            os.close(descriptor)
        return
    if not target.parent.is_dir():  # a message about the temporary name would be confusing
        raise FileNotFoundError(errno.ENOENT, "there is no such folder", str(path.parent))
    partial = target.with_name(target.name + ".partial")
    descriptor = _open_alone(partial)
    try:
        os.ftruncate(descriptor, 0)  # a killed process may have left a part of its file
        _write(descriptor, content)
        os.fsync(descriptor)
        if sys.platform == "win32":
            os.close(descriptor)  # an open file cannot be renamed there
        os.replace(partial, target)
    except OSError:
        with contextlib.suppress(OSError):
            partial.unlink()  # frees its blocks, which a full disk needs
        raise
    finally:
        with contextlib.suppress(OSError):
            os.close(descriptor)
    _sync_folder(target.parent)


def _open(path: Path, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_BINARY", 0), 0o666)


def _open_alone(path: Path) -> int:
    """Open a file that no other process writes: wait until the others have renamed or deleted theirs."""
    while True:
        descriptor = _open(path, os.O_WRONLY | os.O_CREAT)
        if sys.platform == "win32":
            return descriptor
        import fcntl

        try:
            with contextlib.suppress(OSError):  # a file system without locks
                fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(descriptor), os.stat(path)):
                return descriptor
        except FileNotFoundError:
            pass  # renamed by its owner since it was opened
        os.close(descriptor)


def _write(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":  # elsewhere a folder cannot be opened
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
