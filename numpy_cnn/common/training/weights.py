"""Weights of other programs: plain arrays under torch's names, in a safetensors or an npz file."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, deserialize

from numpy_cnn.common.data import npz
from numpy_cnn.common.data.foreign import but
from numpy_cnn.common.spec.backend import Array
from numpy_cnn.common.spec.errors import UserError

LARGEST = 2**30  # bytes; the largest network here has a few million parameters
_deserialize: Callable[[bytes], list[tuple[str, dict[str, Any]]]] = deserialize
_OWNER = "any network here"
_FLOATS = {"BF16": "<u2", "F16": "<f2", "F32": "<f4", "F64": "<f8"}
_PREFIXES = ("module.", "_orig_mod.")  # of torch's DataParallel and of torch.compile
_COUNTERS = "num_batches_tracked"  # torch's batch norm counts batches; the count is unused here
_STATE = "optimizer."  # of the optimizer, in this project's checkpoints


def load_safetensors(path: Path) -> dict[str, Array]:
    """The tensors of a safetensors file; bfloat16 as float32.

    Raises:
        UserError: it is damaged, too large, or has tensors that are not floating-point numbers.
    """
    _check_size(path, path.stat().st_size)
    try:
        tensors = dict(_deserialize(path.read_bytes()))
    except (SafetensorError, OSError) as error:
        reason = but(path) or f", or a truncated one ({error})"
        raise UserError(f"{path}: not a readable safetensors file{reason}") from error
    arrays = {}
    for name, tensor in tensors.items():
        if name.endswith(_COUNTERS):
            continue
        if tensor["dtype"] not in _FLOATS:
            raise UserError(
                f"{path}: {name} is stored as {tensor['dtype']}; only {', '.join(sorted(_FLOATS))} are read"
            )
        numbers = np.frombuffer(tensor["data"], _FLOATS[tensor["dtype"]])
        if tensor["dtype"] == "BF16":  # the upper half of a float32
            numbers = (numbers.astype("<u4") << 16).view("<f4")
        arrays[name] = numbers.reshape(tensor["shape"])
    return arrays


def load_npz(path: Path) -> dict[str, Array]:
    """The arrays of an npz file; nothing in it is unpickled.

    Raises:
        UserError: it is damaged, too large unpacked, or has objects.
    """
    return npz.load_npz(path, LARGEST, _OWNER)


def plain_names(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """The arrays as float32, without the prefixes of torch's wrappers, counters and an optimizer's state.

    Raises:
        UserError: an array does not consist of real numbers.
    """
    plain = {}
    for name, array in arrays.items():
        if array.dtype.kind not in "fiu":
            raise UserError(f"{name} is of type {array.dtype}, not of real numbers")
        for prefix in _PREFIXES:
            name = name.removeprefix(prefix)
        if not name.endswith(_COUNTERS) and not name.startswith(_STATE):
            with np.errstate(over="ignore"):  # becomes infinite, which is reported
                plain[name] = np.ascontiguousarray(array, np.float32).reshape(array.shape)
    return plain


def _check_size(path: Path, size: int) -> None:
    if size > LARGEST:
        raise UserError(f"{path}: has {size} bytes, more than {_OWNER} ({LARGEST})")
