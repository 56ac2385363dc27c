"""A file that several processes write is always one of the complete versions."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from numpy_cnn.common.spec.files import replace_file

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")


def forked(work: Callable[[], None]) -> int:
    """Run `work` in another process; return its number."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            work()
            code = 0
        finally:
            os._exit(code)
    return child


def test_several_processes_that_write_one_file(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    contents = [bytes([number]) * (200_000 + 100_000 * number) for number in range(4)]

    def write(content: bytes) -> None:
        for _ in range(25):
            replace_file(path, content)
            assert path.read_bytes() in contents

    children = [forked(partial(write, content)) for content in contents]
    assert [os.waitpid(child, 0)[1] for child in children] == [0] * len(contents)
    assert [*tmp_path.iterdir()] == [path]


def test_what_a_killed_process_left_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "result.json.partial").write_bytes(b"half of a much longer file")
    replace_file(tmp_path / "result.json", b"{}")
    assert (tmp_path / "result.json").read_bytes() == b"{}"
    assert len([*tmp_path.iterdir()]) == 1


def test_the_old_file_remains_if_the_new_one_cannot_be_written(tmp_path: Path) -> None:
    path = tmp_path / "result.json"
    replace_file(path, b"old")
    tmp_path.joinpath("result.json.partial").mkdir()
    with pytest.raises(OSError, match="directory"):
        replace_file(path, b"new")
    assert path.read_bytes() == b"old"


def test_a_pipe_is_written_directly(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    replace_file(pipe, b"content")
    assert os.read(reader, 100) == b"content"
    os.close(reader)
    assert pipe.is_fifo()
