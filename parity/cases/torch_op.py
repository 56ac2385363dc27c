"""A torch function as an op: y, pullback = op(*arrays, **options) with NumPy arrays."""

import inspect
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

import numpy as np
import torch

from parity.cases.op import Array, Op
from parity.cases.state import BUFFERS, keep
from torch_cnn.device import reproducible

_device = torch.device("cpu")  # where the oracle computes; a global, because calls are made in threads


def oracle(like: Callable[..., torch.Tensor]) -> Op:
    """Wrap `like` (for example torch.nn.functional.conv2d) as an op with autograd as its pullback.

    Arguments are copied because torch rejects negative strides and read-only memory; results are copied so that
    the caller owns them.
    """
    skipped = buffers(like)

    def op(*arrays: Array | None, **options: Any) -> tuple[Array, Callable[[Array], tuple[Array | None, ...]]]:
        tensors = [
            None if array is None else _tensor(array, gradient=place not in skipped)
            for place, array in enumerate(arrays)
        ]
        keywords = {
            name: _tensor(value, gradient=False) if isinstance(value, np.ndarray) else value
            for name, value in options.items()
        }
        y = like(*tensors, **keywords)
        for place, name in skipped.items():
            if place < len(tensors) and (buffer := tensors[place]) is not None:
                keep(name, buffer.cpu().numpy())
        leaves = [tensor for tensor in tensors if tensor is not None and tensor.requires_grad]

        def pullback(dy: Array) -> tuple[Array | None, ...]:
            if not y.requires_grad:
                return tuple(None for _ in tensors)
            cotangent = _tensor(dy, gradient=False)
            # The gradient of (y · dy).sum(): torch imports sympy to compare the shapes of y and a grad_outputs.
            of = iter(
                torch.autograd.grad((y * cotangent).sum(), leaves, retain_graph=True, materialize_grads=True)
            )
            return tuple(
                next(of).numpy(force=True) if t is not None and t.requires_grad else None for t in tensors
            )

        return y.detach().cpu().numpy().copy(), pullback

    return op


@lru_cache(maxsize=256)
def buffers(like: Callable[..., torch.Tensor]) -> dict[int, str]:
    """The positions and names of the running statistics among the arguments."""
    try:
        names = [*inspect.signature(like).parameters]
    except (TypeError, ValueError):  # a function written in C, such as conv2d, has no signature
        return {}
    return {place: name for place, name in enumerate(names) if name in BUFFERS}


def _tensor(array: Array, gradient: bool) -> torch.Tensor:
    tensor = torch.from_numpy(np.array(array, order="C")).to(_device)
    return tensor.requires_grad_(gradient and tensor.is_floating_point())


@contextmanager
def oracle_on(device: torch.device) -> Iterator[None]:
    """Compute the oracle's results on this device, with full float32 precision and deterministic algorithms."""
    global _device
    before, _device = _device, device
    if device.type == "cuda":
        reproducible()
    try:
        yield
    finally:
        _device = before


@contextmanager
def one_thread() -> Iterator[None]:
    """Restrict torch to one thread: the cases are small, and its pool would compete with NumPy's for the cores."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def own_kernels() -> Iterator[None]:
    """Restrict torch to its own kernels: oneDNN compiles one for each new geometry, which takes a millisecond.

    NNPACK, which torch would use from 16 images on, transforms them, and its sums of integers are not exact.
    For lanes in which every correct kernel gives the same bits; elsewhere the oracle is unmodified torch.
    """
    with torch.backends.mkldnn.flags(enabled=False), torch.backends.nnpack.flags(enabled=False):
        yield
