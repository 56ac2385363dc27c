"""The device of PyTorch. Arrays are converted from and to NumPy, so files do not depend on the device."""

import os
from typing import Any

import numpy as np
import torch

from numpy_cnn.common.spec.backend import Array
from numpy_cnn.common.spec.errors import UserError

NAMES = {"cuda": "CUDA", "mps": "MPS"}

_selected = torch.device("cpu")


def find(name: str) -> torch.device:
    """Return the device named by `--device`; auto is the first available of cuda, mps and cpu.

    Under torchrun, each process of a host takes the GPU of its local rank.

    Raises:
        UserError: this computer, or this build of PyTorch, has no such device.
    """
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if name == "auto":
        name = next(device for device, available in there.items() if available)
    if name not in there:
        raise UserError(f"device {name!r}: expected cpu, cuda, mps or auto")
    if not there[name]:
        raise UserError(
            f"--device {name}: this PyTorch ({torch.__version__}) has no {NAMES[name]} device; use --device cpu"
        )
    if name != "cuda":
        return torch.device(name)
    index, count = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
    if index >= count:
        raise UserError(
            f"--device cuda: process {index + 1} of this host needs its own GPU, but there are only {count}; "
            f"use --nproc-per-node {count}, or --device cpu"
        )
    return torch.device("cuda", index)


def select(name: str) -> torch.device:
    """Compute on this device from now on: for the whole process, like PyTorch's number of threads.

    Raises:
        UserError: there is no such device.
    """
    global _selected  # one setting of the process
    _selected = find(name)
    if _selected.type == "cuda":
        torch.cuda.set_device(_selected)
        reproducible()
    return _selected


def selected() -> torch.device:
    """The device that `select` chose; the CPU before."""
    return _selected


def reproducible() -> None:
    """Full float32 precision and the same bits in every run, as on the CPU: no TF32, deterministic algorithms.

    An op without a deterministic algorithm still runs: its sums differ in their order, not beyond rounding.
    """
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")  # read when cuBLAS starts
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    torch.backends.cudnn.benchmark = False
    torch.use_deterministic_algorithms(True, warn_only=True)


def tensor(array: Array, device: torch.device) -> torch.Tensor:
    """The array on the device; on the CPU both share the memory."""
    return torch.from_numpy(array).to(device)


def host(values: torch.Tensor) -> Array:
    """The tensor as an array; on the CPU both share the memory."""
    array: Array = values.detach().cpu().numpy()
    return array


def copied(array: Array, device: torch.device) -> torch.Tensor:
    """A contiguous copy on the device: torch rejects negative strides and read-only memory."""
    return torch.from_numpy(np.array(array, order="C")).to(device)


def state_tensor(name: str, array: Any, device: torch.device) -> torch.Tensor:
    """An entry of an optimizer's state: torch keeps the number of steps on the CPU, to read it without waiting."""
    return copied(array, torch.device("cpu") if name == "step" else device)
