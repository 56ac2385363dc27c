"""Weights of other programs: plain arrays under torch's names, in a safetensors or an npz file."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from safetensors import SafetensorError, safe_open

from numpy_cnn.common.data import npz
from numpy_cnn.common.data.foreign import but
from numpy_cnn.common.spec.backend import Array
from numpy_cnn.common.spec.errors import UserError

LARGEST = 2**30  # bytes; the largest network here has a few million parameters
_OWNER = "any network here"
_FLOATS = {"F16", "F32", "F64"}
_PREFIXES = ("module.", "_orig_mod.")  # of torch's DataParallel and of torch.compile
_COUNTERS = "num_batches_tracked"  # torch's batch norm counts batches; the count is unused here


def load_safetensors(path: Path) -> dict[str, Array]:
    """The tensors of a safetensors file.

    Raises:
        UserError: it is damaged, too large, or has tensors of a type that NumPy lacks.
    """
    _check_size(path, path.stat().st_size)
    try:
        with safe_open(path, framework="numpy") as file:
            names = list(file.keys())
            for name in names:
                kind = file.get_slice(name).get_dtype()
                if kind not in _FLOATS and not name.endswith(_COUNTERS):
                    raise UserError(
                        f"{path}: {name} is stored as {kind}; only {', '.join(sorted(_FLOATS))} are read"
                    )
            return {name: file.get_tensor(name) for name in names if not name.endswith(_COUNTERS)}
    except (SafetensorError, OSError) as error:
        reason = but(path) or f", or a truncated one ({error})"
        raise UserError(f"{path}: not a readable safetensors file{reason}") from error


def load_npz(path: Path) -> dict[str, Array]:
    """The arrays of an npz file; nothing in it is unpickled.

    Raises:
        UserError: it is damaged, too large unpacked, or has objects.
    """
    return npz.load_npz(path, LARGEST, _OWNER)


def plain_names(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """The arrays as float32, without the prefixes that torch's wrappers add and without counters.

    Raises:
        UserError: an array does not consist of real numbers.
    """
    plain = {}
    for name, array in arrays.items():
        if array.dtype.kind not in "fiu":
            raise UserError(f"{name} is of type {array.dtype}, not of real numbers")
        for prefix in _PREFIXES:
            name = name.removeprefix(prefix)
        if not name.endswith(_COUNTERS):
            with np.errstate(over="ignore"):  # becomes infinite, which is reported
                plain[name] = np.ascontiguousarray(array, np.float32).reshape(array.shape)
    return plain


def _check_size(path: Path, size: int) -> None:
    if size > LARGEST:
        raise UserError(f"{path}: has {size} bytes, more than {_OWNER} ({LARGEST})")
