"""Recognize files of other programs by their content."""

from pathlib import Path

_MAGIC = {
    b"\x89HDF\r\n\x1a\n": "an HDF5 file, as Keras writes weights",
    b"\x93NUMPY": "a NumPy array (.npy)",
    b"GGUF": "a GGUF model (llama.cpp)",
    b"\x89PNG\r\n\x1a\n": "a PNG picture",
    b"\xff\xd8\xff": "a JPEG picture",
    b"\x1f\x8b": "a gzip archive",
    b"BZh": "a bzip2 archive",
    b"\xfd7zXZ\0": "an xz archive",
    b"7z\xbc\xaf\x27\x1c": "a 7-Zip archive",
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
    b".npy": "NumPy arrays (.npz)",
    b"model.weights.h5": "a Keras model (.keras)",
}
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
        return "a ZIP archive"
    if head[:1] == b"\x80" and head[1:2] in b"\x02\x03\x04\x05" and len(head) > 2:
        return "a Python pickle"
    if head[257:262] == b"ustar":
        return "a tar archive"
    if head[4:8] == b"TFL3":
        return "a TensorFlow Lite model"
    if head[:1] == b"\x08" and b"pytorch" in head[:64]:
        return "an ONNX model"
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    if text.startswith(b"<"):
        return "a web page or an XML file"
    if text[:1] in (b"{", b"["):
        return "a JSON file"
    return None


def _zip(path: Path) -> str:
    """Describe an archive by the names of its members in its first and last bytes."""
    with path.open("rb") as file:
        names = file.read(_NAMES)
        file.seek(max(0, path.stat().st_size - _NAMES))
        names += file.read(_NAMES)
    return next((what for member, what in _MEMBERS.items() if member in names), "a ZIP archive")
