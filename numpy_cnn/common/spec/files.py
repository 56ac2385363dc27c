"""Atomic writes: after a crash, a full disk or a power cut, a file is either old or new, never mixed."""

import contextlib
import os
from pathlib import Path


def replace_file(path: Path, content: bytes) -> None:
    """Write `content` to `path` in one step.

    The bytes are written to `<path>.partial` and synchronized, and only then replace `path`. The folder is
    synchronized as well, because a power cut could otherwise undo the rename. A path that is not a regular file (a
    pipe, a device) is written directly.

    Raises:
        OSError: it cannot be written. The old file, if there was one, is unchanged.
    """
    target = Path(os.path.realpath(path))  # a symbolic link keeps pointing to the file that is replaced
    if target.exists() and not target.is_file():
        _write(target, content, os.O_WRONLY)
        return
    partial = target.with_name(target.name + ".partial")
    try:
        _write(partial, content, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, sync=True)
        os.replace(partial, target)
    except OSError:
        with contextlib.suppress(OSError):
            partial.unlink()  # frees its blocks, which a full disk needs
        raise
    _sync_folder(target.parent)


def _write(path: Path, content: bytes, flags: int, sync: bool = False) -> None:
    descriptor = os.open(path, flags | getattr(os, "O_BINARY", 0), 0o666)
    try:
        rest = memoryview(content)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
        if sync:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    if os.name != "posix":  # elsewhere a folder cannot be opened
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
