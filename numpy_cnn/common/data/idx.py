"""Reader of the IDX format, in which MNIST is published: a big-endian header, then the raw bytes.

======  ==========================================================================
bytes   meaning
======  ==========================================================================
0-1     zero
2       type of the values; 0x08 is an unsigned byte, the only one MNIST uses
3       number of dimensions d: 1 for labels, 3 for images
4-      d sizes of 4 bytes each, then as many values as their product, row by row
======  ==========================================================================

Source: Y. LeCun, C. Cortes and C. Burges, The MNIST database of handwritten digits.
"""

from __future__ import annotations

import gzip
import math
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from numpy_cnn.common.spec.errors import UserError

_GZIP_MAGIC = b"\x1f\x8b"
_MAGIC = {1: 0x0801, 3: 0x0803}
_HOLDS = {0x0801: "labels", 0x0803: "images"}
_AGAIN = "delete it and fetch it again"


def read_images(path: Path) -> NDArray[np.uint8]:
    """The images of an IDX file, plain or gzipped: uint8 ``(N, H, W)``.

    Raises UserError where the file cannot be read, is no image file, or has bytes too few or too many.
    """
    return _read(path, dimensions=3)


def read_labels(path: Path) -> NDArray[np.uint8]:
    """The labels of an IDX file, plain or gzipped: uint8 ``(N,)``. Raises as ``read_images`` does."""
    return _read(path, dimensions=1)


def read_bytes(path: Path) -> bytes:
    """The content of a file, unpacked where its name ends in ``.gz``.

    Raises UserError where it cannot be read or the compressed data are damaged.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror or error}") from error
    if path.suffix != ".gz":
        return content
    try:
        return gzip.decompress(content)
    except (EOFError, OSError, zlib.error) as error:
        raise UserError(
            f"{path}: expected gzip data, found damaged ones ({error}), probably an interrupted download: {_AGAIN}"
        ) from error


def _read(path: Path, dimensions: int) -> NDArray[np.uint8]:
    content = read_bytes(path)
    magic = _MAGIC[dimensions]
    header = 4 + 4 * dimensions

    if len(content) < 4:
        raise UserError(f"{path}: expected an IDX file, found only {len(content)} bytes: {_AGAIN}")
    found = int.from_bytes(content[:4], "big")
    if found != magic:
        raise UserError(
            f"{path}: expected magic number 0x{magic:08X} (IDX, unsigned bytes, {_HOLDS[magic]}), "
            f"found 0x{found:08X}: {_cause(found, content)}"
        )
    if len(content) < header:
        raise UserError(f"{path}: expected a header of {header} bytes, found {len(content)}: cut short; {_AGAIN}")
    shape = tuple(int.from_bytes(content[at : at + 4], "big") for at in range(4, header, 4))
    if 0 in shape:
        raise UserError(f"{path}: expected {_HOLDS[magic]}, found none: the header says {_times(shape)}")

    expected, values = math.prod(shape), len(content) - header
    if values != expected:
        cause = "cut short" if values < expected else "followed by bytes that do not belong to it"
        raise UserError(
            f"{path}: expected {_times(shape)} = {expected} bytes after the header, found {values}: "
            f"the file is {cause}; {_AGAIN}"
        )
    return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(shape)


def _times(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


def _cause(found: int, content: bytes) -> str:
    if found in _HOLDS:
        return f"this is a file of {_HOLDS[found]}; were the two files swapped?"
    if content.startswith(_GZIP_MAGIC):
        return "the content is gzipped; give the file a name that ends in .gz"
    if content.lstrip().startswith(b"<"):
        return f"this looks like a web page that was saved instead of the file; {_AGAIN}"
    return f"this is no MNIST file, or it is damaged; {_AGAIN}"
