"""Recognize files of other programs by their content."""

from pathlib import Path

WEB_PAGE, TEXT, NUMPY, ZIP = "a web page or an XML file", "a text file", "NumPy arrays (.npz)", "a ZIP archive"
PICTURES = ("a PNG picture", "a JPEG picture", "a GIF picture")
_MAGIC = {
    b"\x89HDF\r\n\x1a\n": "an HDF5 file, as Keras writes weights",
    b"\x93NUMPY": "a NumPy array (.npy)",
    b"GGUF": "a GGUF model (llama.cpp)",
    **dict(zip((b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF8"), PICTURES, strict=True)),
    b"\x1f\x8b": "a gzip archive",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ\0": "an xz archive",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive",
    b"\x28\xb5\x2f\xfd": "a Zstandard archive",
    b"Rar!\x1a\x07": "a RAR archive",
    b"PAR1": "a Parquet table",
    b"MATLAB": "a MATLAB file",
    b"HTTP/": "a web server's response, headers included",
    b"%PDF": "a PDF document",
    b"\x7fELF": "a program",
    b"\0\0\x08\x01": "an IDX file of labels",
    b"\0\0\x08\x03": "an IDX file of images",
    b"\x80\x02\x8a\nl\xfc\x9cF\xf9 j\xa8P\x19": "a PyTorch file of the old format (torch.save)",
    b"version https://git-lfs": "a Git LFS pointer: the real file was not fetched (git lfs pull)",
}
_MEMBERS = {  # the first match wins
    b"constants.pkl": "a TorchScript model (torch.jit.save)",
    b"data.pkl": "a PyTorch file (torch.save)",
    b".npy": NUMPY,
    b"model.weights.h5": "a Keras model (.keras)",
}
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_LEAST_TEXT = 4  # bytes
_HEAD = 512  # bytes
_NAMES = 65_536  # bytes at each end of an archive


def describe(path: Path) -> str | None:
    """Describe the type of the file; None if it is not recognized. Nothing in it is unpickled or executed.

    Raises:
        OSError: it cannot be read.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD)
    if head.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zip(path)
    if head[:1] == b"\x08" and path.suffix == ".onnx":
        return "an ONNX model"
    return describe_head(head)


def describe_head(head: bytes) -> str | None:
    """Describe the type of a file from its first bytes, at most 512 of them; None if it is not recognized."""
    for magic, what in _MAGIC.items():
        if head.startswith(magic):
            return what
    if head.startswith(b"PK\x03\x04"):
        return ZIP
    if head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05" and len(head) > 2:
        return "a Python pickle"
    if head[257:262] == b"ustar":
        return "a tar archive"
    if head[4:8] == b"TFL3":
        return "a TensorFlow Lite model"
    if head[:1] == b"\x08" and b"pytorch" in head[:64]:
        return "an ONNX model"
    text = _text(head)
    if text is None:
        return None
    if text.startswith("<"):
        return WEB_PAGE
    if text.startswith(("{", "[")):
        return "a JSON file"
    return TEXT


def but(path: Path, *expected: str) -> str:
    """The end of the message that a file cannot be read: ", but a web page"; empty if nothing is known about it.

    Args:
        path: the file.
        expected: the types that it should have, which explain nothing.
    """
    try:
        what = describe(path)
    except OSError:
        return ""
    return f", but {what}" if what is not None and what not in expected else ""


def _text(head: bytes) -> str | None:
    """The first characters after white space; None if the bytes are not text, or too few to be sure."""
    if len(head) < _LEAST_TEXT:
        return None
    encoding = "utf-16" if head.startswith(_UTF_16) else "utf-8-sig"
    try:
        text = head.decode(encoding)
    except UnicodeDecodeError as error:
        if error.start < len(head) - 4:  # a character may be cut off at the end
            return None
        text = head[: error.start].decode(encoding)
    return text.lstrip() if text.strip() and all(one.isprintable() or one.isspace() for one in text) else None


def _zip(path: Path) -> str:
    """Describe an archive by the names of its members in its first and last bytes."""
    with path.open("rb") as file:
        names = file.read(_NAMES)
        file.seek(max(0, path.stat().st_size - _NAMES))
        names += file.read(_NAMES)
    return next((what for member, what in _MEMBERS.items() if member in names), ZIP)
