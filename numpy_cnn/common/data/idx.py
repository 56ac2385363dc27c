"""Reader of the IDX format, in which MNIST is published: a big-endian header, then the raw bytes.

======  ==========================================================================
bytes   meaning
======  ==========================================================================
0-1     zero
2       type of the values; 0x08 is an unsigned byte, the only one MNIST uses
3       number of dimensions d: 1 for labels, 3 for images
4-      d sizes of 4 bytes each, then as many values as their product, row by row
======  ==========================================================================

The file may be gzipped, which is detected from its content, not its name. The header is read first, then only as
many bytes as it declares: a small file cannot expand to more memory than `LARGEST`.

Source: Y. LeCun, C. Cortes and C. Burges, The MNIST database of handwritten digits.
"""

from __future__ import annotations

import math
import zlib
from collections.abc import Iterator
from io import BufferedReader
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from numpy_cnn.common.data.foreign import WEB_PAGE, describe_head
from numpy_cnn.common.spec.errors import UserError

LARGEST = 200_000_000  # bytes: four times MNIST's training images, and all of EMNIST's digits

_GZIP_MAGIC = b"\x1f\x8b"
_MAGIC = {1: 0x0801, 3: 0x0803}
_HOLDS = {0x0801: "labels", 0x0803: "images"}
_AGAIN = "delete it and fetch it again"
_CHUNK = 2**16
_MOST_MEMBERS = 1000  # gzip streams one after another; a file of empty ones would take minutes


def read_images(path: Path) -> NDArray[np.uint8]:
    """The images of an IDX file, plain or gzipped: uint8 ``(N, H, W)``.

    Raises UserError if the file cannot be read, is not an image file, or has too few or too many bytes.
    """
    return _read(path, dimensions=3)[1]


def read_labels(path: Path) -> NDArray[np.uint8]:
    """The labels of an IDX file, plain or gzipped: uint8 ``(N,)``. Raises as ``read_images`` does."""
    return _read(path, dimensions=1)[1]


def unpack(path: Path, dimensions: int) -> bytes:
    """The content of an IDX file, unpacked if it is gzipped: header and values. Raises as ``read_images`` does."""
    header, values = _read(path, dimensions)
    return header + values.tobytes()


def is_gzipped(path: Path) -> bool:
    """Whether the content is gzipped; the name may be wrong. Raises OSError if the file cannot be read."""
    with path.open("rb") as file:
        return file.read(2) == _GZIP_MAGIC


def _read(path: Path, dimensions: int) -> tuple[bytes, NDArray[np.uint8]]:
    try:
        with path.open("rb") as file:
            return _parse(path, file, dimensions)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error


def _parse(path: Path, file: BufferedReader, dimensions: int) -> tuple[bytes, NDArray[np.uint8]]:
    magic, size = _MAGIC[dimensions], 4 + 4 * dimensions
    zipped = file.peek(2)[:2] == _GZIP_MAGIC
    content = _Content(_unzipped(path, file) if zipped else iter(lambda: file.read(_CHUNK), b""))

    header = bytes(content.take(size))
    if len(header) < 4:
        raise UserError(f"{path}: expected an IDX file, found only {len(header)} bytes: {_AGAIN}")
    found = int.from_bytes(header[:4], "big")
    if found != magic:
        raise UserError(
            f"{path}: expected magic number 0x{magic:08X} (IDX, unsigned bytes, {_HOLDS[magic]}), "
            f"found 0x{found:08X}: {_cause(found, header + content.take(512 - size))}"
        )
    if len(header) < size:
        raise UserError(f"{path}: expected a header of {size} bytes, found {len(header)}: cut short; {_AGAIN}")
    shape = tuple(int.from_bytes(header[at : at + 4], "big") for at in range(4, size, 4))
    if 0 in shape:
        raise UserError(f"{path}: expected {_HOLDS[magic]}, found none: the header says {_times(shape)}")

    expected = math.prod(shape)
    values = content.take(min(expected, LARGEST))
    if len(values) == expected:
        extra = len(content.take(_CHUNK))
        if not extra:
            return header, np.frombuffer(values, np.uint8).reshape(shape)
        found_bytes = f"{expected + extra}{' or more' if extra == _CHUNK else ''}"
        cause = "followed by bytes that do not belong to it"
    elif len(values) == LARGEST:
        raise UserError(
            f"{path}: the header says {_times(shape)} = {expected} bytes; more than {LARGEST} are not read: "
            "this is not MNIST"
        )
    else:
        found_bytes, cause = str(len(values)), "cut short"
    raise UserError(
        f"{path}: expected {_times(shape)} = {expected} bytes after the header, found {found_bytes}: "
        f"the file is {cause}; {_AGAIN}"
    )


class _Content:
    """Chunks of bytes, from which an exact number can be taken."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self.chunks, self.rest = chunks, b""

    def take(self, count: int) -> bytearray:
        """The next `count` bytes; fewer at the end."""
        taken = bytearray()
        while len(taken) < count and (chunk := self.rest or next(self.chunks, b"")):
            missing = count - len(taken)
            taken += chunk[:missing]
            self.rest = chunk[missing:]
        return taken


def _unzipped(path: Path, file: BufferedReader) -> Iterator[bytes]:
    """The unpacked content in chunks, by zlib itself: Python's gzip reads names and padding byte by byte."""
    decoder, members, left = zlib.decompressobj(wbits=31), 1, b""
    try:
        while packed := left or file.read(_CHUNK):
            left = b""
            if decoder.eof:
                packed = packed.lstrip(b"\0")  # padding between streams and at the end
                if not packed:
                    continue
                members += 1
                if members > _MOST_MEMBERS:
                    raise zlib.error(f"more than {_MOST_MEMBERS} streams")
                decoder = zlib.decompressobj(wbits=31)
            if chunk := decoder.decompress(packed, _CHUNK):
                yield chunk
            left = decoder.unconsumed_tail or decoder.unused_data
        if chunk := decoder.flush():
            yield chunk
        if not decoder.eof:
            raise zlib.error("the end of the compressed data is missing")
    except zlib.error as error:
        raise UserError(
            f"{path}: expected gzip data, found damaged ones ({error}), probably an interrupted download: {_AGAIN}"
        ) from error


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _cause(found: int, content: bytes) -> str:
    if found in _HOLDS:
        return f"this is a file of {_HOLDS[found]}; were the two files swapped?"
    what = describe_head(content)
    if what == WEB_PAGE:
        return f"this looks like a web page that was saved instead of the file; {_AGAIN}"
    if what is not None:
        return f"this is {what}, not an MNIST file; {_AGAIN}"
    return f"this is not an MNIST file, or it is damaged; {_AGAIN}"
