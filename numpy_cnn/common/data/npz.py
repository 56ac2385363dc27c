"""Arrays from an npz file, without pickle and of limited size."""

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from numpy_cnn.common.data.foreign import NUMPY, ZIP, but
from numpy_cnn.common.spec.errors import UserError

_ERRORS = (
    zipfile.BadZipFile, zlib.error, OSError, ValueError, EOFError, KeyError, NotImplementedError,
    RuntimeError,  # zipfile's, for an encrypted member
)  # fmt: skip


def load_npz(path: Path, largest: int, owner: str) -> dict[str, npt.NDArray[Any]]:
    """The arrays of an npz file; nothing in it is unpickled.

    Args:
        path: the file.
        largest: the number of bytes that it may unpack to.
        owner: what never has more, for the message.

    Raises:
        UserError: it is damaged, too large unpacked, or has objects.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(member.file_size for member in archive.infolist())
        if size > largest:
            raise UserError(f"{path}: has {size} bytes, more than {owner} ({largest})")
        with np.load(path, allow_pickle=False) as arrays:
            return {name: np.asarray(arrays[name]) for name in arrays.files}
    except _ERRORS as error:
        if "allow_pickle" in str(error):
            raise UserError(
                f"{path}: contains Python objects, which are not read; save arrays of numbers"
            ) from error
        reason = but(path, NUMPY, ZIP) or f" ({' '.join(str(error).split())[:200]})"
        raise UserError(f"{path}: not a readable .npz file of numbers{reason}") from error
