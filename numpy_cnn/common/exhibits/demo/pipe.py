"""The format in which the server and a backend's process exchange arrays."""

import struct
from collections.abc import Mapping
from typing import IO

from safetensors.numpy import load, save

from numpy_cnn.common.spec.backend import Array

_LENGTH = struct.Struct("<Q")


def send(stream: IO[bytes], arrays: Mapping[str, Array]) -> None:
    """Write named arrays: eight bytes of length, then safetensors' bytes."""
    content = save(dict(arrays))
    stream.write(_LENGTH.pack(len(content)) + content)
    stream.flush()


def receive(stream: IO[bytes]) -> dict[str, Array] | None:
    """The arrays that the other side sent; None if it closed the stream or the message is incomplete."""
    header = stream.read(_LENGTH.size)
    if len(header) < _LENGTH.size:
        return None
    (length,) = _LENGTH.unpack(header)
    content = stream.read(length)
    return load(content) if len(content) == length else None
