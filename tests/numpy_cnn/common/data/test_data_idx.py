"""The IDX reader: valid files, and one line for each kind of damage."""

from __future__ import annotations

import contextlib
import gzip
import re
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mnist_files import idx_bytes

from numpy_cnn.common.data import idx
from numpy_cnn.common.spec.errors import UserError

IMAGES = np.arange(2 * 3 * 4, dtype=np.uint8).reshape(2, 3, 4)
LABELS = np.array([7, 2, 1], dtype=np.uint8)


def message_of(path, content: bytes, read=idx.read_images) -> str:
    path.write_bytes(content)
    with pytest.raises(UserError) as error:
        read(path)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)
    return str(error.value)


@pytest.mark.parametrize("gzipped", [False, True])
@pytest.mark.parametrize("name", ["file", "file.gz"])
def test_reads_images_and_labels_whatever_the_suffix(tmp_path, gzipped, name):
    for array, read in ((IMAGES, idx.read_images), (LABELS, idx.read_labels)):
        path = tmp_path / name
        path.write_bytes(gzip.compress(idx_bytes(array)) if gzipped else idx_bytes(array))

        assert read(path).dtype == np.uint8
        assert np.array_equal(read(path), array)


def test_truncated(tmp_path):
    message = message_of(tmp_path / "images", idx_bytes(IMAGES)[:-1])
    assert "expected 2x3x4 = 24 bytes after the header, found 23: the file is cut short" in message


def test_trailing_bytes(tmp_path):
    message = message_of(tmp_path / "images", idx_bytes(IMAGES) + b"!")
    assert "expected 2x3x4 = 24 bytes after the header, found 25" in message
    assert "do not belong to it" in message


def test_a_header_with_a_huge_size_is_a_truncated_file(tmp_path):
    header = b"".join(number.to_bytes(4, "big") for number in (0x0803, 2**32 - 1, 2**32 - 1, 2**32 - 1))
    assert "cut short" in message_of(tmp_path / "images", header)


def test_truncated_header(tmp_path):
    assert "expected a header of 16 bytes, found 9" in message_of(tmp_path / "images", idx_bytes(IMAGES)[:9])
    assert "found only 3 bytes" in message_of(tmp_path / "images", b"\0\0\x08")


def test_no_images(tmp_path):
    assert "the header says 0x28x28" in message_of(tmp_path / "images", idx_bytes(np.zeros((0, 28, 28), np.uint8)))


@pytest.mark.parametrize(
    ("content", "cause"),
    [
        (
            idx_bytes(LABELS),
            "expected magic number 0x00000803 (IDX, unsigned bytes, images), found 0x00000801: "
            "this is a file of labels",
        ),
        (b"<!DOCTYPE html>", "found 0x3C21444F: this looks like a web page"),
        (b"\x89PNG\r\n\x1a\n", "this is a PNG picture, not an MNIST file"),
        (b'{"message": "Not Found"}', "this is a JSON file, not an MNIST file"),
        (
            b"version https://git-lfs.github.com/spec/v1\n",
            "this is a Git LFS pointer: the real file was not fetched",
        ),
        (gzip.compress(gzip.compress(b"\0\0\x08\x03")), "this is a gzip archive, not an MNIST file"),
        (b"\x28\xb5\x2f\xfd" + bytes(30), "this is a Zstandard archive, not an MNIST file"),
        (b"HTTP/1.1 403 Forbidden\r\n\r\n<html>", "this is a web server's response, headers included"),
        (b"Too Many Requests\n", "this is a text file, not an MNIST file"),
        ("fehlt: ä".encode() + b"\xc3", "this is a text file, not an MNIST file"),
        (b"PK\x03\x04" + bytes(30), "this is a ZIP archive, not an MNIST file"),
        (b"\0\0\x0d\x03" + bytes(16), "found 0x00000D03: this is not an MNIST file"),
    ],
    ids=[
        "labels",
        "web page",
        "PNG",
        "JSON",
        "LFS",
        "gzipped twice",
        "Zstandard",
        "response",
        "text",
        "cut",
        "ZIP",
        "floats",
    ],
)
def test_wrong_magic_number_and_its_cause(tmp_path, content, cause):
    assert cause in message_of(tmp_path / "images", content)


def test_swapped_files_are_also_recognised_by_the_labels(tmp_path):
    assert "this is a file of images" in message_of(tmp_path / "labels", idx_bytes(IMAGES), idx.read_labels)


def test_damaged_gzip(tmp_path):
    compressed = gzip.compress(idx_bytes(IMAGES))
    flipped = compressed[:-6] + bytes([compressed[-6] ^ 1]) + compressed[-5:]
    for content in (compressed[:-5], flipped, compressed[:12] + b"\xff" * 8, compressed + b"rest"):
        assert "expected gzip data, found damaged ones" in message_of(tmp_path / "images.gz", content)


@pytest.mark.parametrize(
    "page",
    [b"<!DOCTYPE html>", b"\r\n<html>", b"\xef\xbb\xbf<html>", "<html>ä".encode("utf-16"), b"<!-- -->\n<html>"],
)
@pytest.mark.parametrize("compress", [bytes, gzip.compress], ids=["plain", "gzipped"])
def test_a_web_page_that_was_saved_under_the_name_of_the_file(tmp_path, page, compress):
    assert "this looks like a web page" in message_of(tmp_path / "images.gz", compress(page))


def test_several_gzip_streams_and_padding_are_one_file(tmp_path):
    content = idx_bytes(IMAGES)
    (tmp_path / "images.gz").write_bytes(
        gzip.compress(content[:9]) + bytes(7) + gzip.compress(content[9:]) + bytes(99)
    )
    assert np.array_equal(idx.read_images(tmp_path / "images.gz"), IMAGES)
    assert idx.unpack(tmp_path / "images.gz", dimensions=3) == content


def header(*sizes: int) -> bytes:
    return b"".join(number.to_bytes(4, "big") for number in (0x0800 + len(sizes), *sizes))


BOMBS = {  # made by the tests: compression takes a second
    "more than it promises": (lambda: gzip.compress(header(2, 3, 4) + bytes(2**28), 9), r"found 65560 or more"),
    "more than is read": (
        lambda: gzip.compress(header(2**20, 2**10, 2**3) + bytes(2**28), 9),
        "more than 200000000 are not read",
    ),
    "less than it promises": (
        lambda: gzip.compress(header(10**5, 10, 100) + bytes(10**6)),
        "found 1000000: the file is cut short",
    ),
    "empty streams": (lambda: gzip.compress(b"") * 2000, "more than 1000 streams"),
    "a long name": (
        lambda: b"\x1f\x8b\x08\x08" + bytes(6) + b"a" * 10**6,
        "the end of the compressed data is missing",
    ),
}


@pytest.mark.parametrize("bomb", BOMBS)
def test_no_file_expands_to_more_than_its_header_promises(tmp_path, bomb):
    compressed, cause = BOMBS[bomb]
    content = compressed()
    tracemalloc.start()
    try:
        assert re.search(cause, message_of(tmp_path / "images.gz", content))
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 260e6 if bomb == "more than is read" else peak < 12e6


def test_a_path_that_cannot_be_read(tmp_path):
    with pytest.raises(UserError, match=r"cannot read .*absent: No such file"):
        idx.read_images(tmp_path / "absent")
    with pytest.raises(UserError, match=r"cannot read .*: Is a directory"):
        idx.read_labels(tmp_path)


@given(content=st.binary(max_size=64), prefix=st.sampled_from([b"", b"\0\0\x08\x03", b"\0\0\x08\x03\0\0\0\x01"]))
def test_any_other_bytes_give_one_line(tmp_path_factory, content, prefix):
    path = tmp_path_factory.getbasetemp() / "any"
    path.write_bytes(prefix + content)
    with contextlib.suppress(UserError):
        assert idx.read_images(path).ndim == 3
