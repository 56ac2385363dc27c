"""The processes started by torchrun, as a group: `torchrun --nproc-per-node N -m torch_cnn train …`."""

import contextlib
import os
import sys
from collections.abc import Iterator

import numpy as np
import torch
import torch.distributed as dist

from numpy_cnn.common.spec.backend import Array
from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.training.group import Alone, Group, ProcessLost, started_by
from torch_cnn import device as devices


class TorchGroup:
    """`numpy_cnn.common.training.group.Group` over torch.distributed: NCCL between GPUs, Gloo between CPUs."""

    def __init__(self, device: torch.device) -> None:
        self._device = device if device.type == "cuda" else torch.device("cpu")
        self.rank, self.size = dist.get_rank(), dist.get_world_size()

    def all_reduce(self, values: Array) -> Array:
        total = devices.copied(values, self._device)
        try:
            dist.all_reduce(total)
        except RuntimeError as error:  # torch has no more specific exception for a closed connection
            raise ProcessLost(str(error).partition(". ")[0]) from error
        return devices.host(total)


@contextlib.contextmanager
def group() -> Iterator[Group]:
    """The processes of torchrun; only this process without torchrun.

    Raises:
        UserError: this PyTorch has no torch.distributed, or the processes cannot be connected.
    """
    if not started_by("torchrun"):
        yield Alone()
        return
    if not dist.is_available():
        raise UserError(f"this PyTorch ({torch.__version__}) was built without torch.distributed")
    device = devices.selected()
    try:
        dist.init_process_group("nccl" if device.type == "cuda" else "gloo")
    except (RuntimeError, ValueError) as error:
        raise UserError(f"the processes cannot be connected: {' '.join(str(error).split())}") from error
    here = TorchGroup(device)
    try:
        yield here
    except BaseException:
        dist.destroy_process_group()
        raise
    # All processes end together: one that closes its connections while another still uses them may abort. For the
    # same reason the group is not destroyed; see `leave`.
    with contextlib.suppress(ProcessLost):  # the others have ended
        here.all_reduce(np.zeros(1, np.float32))


def leave(code: int) -> None:
    """End this process at once if it was part of a group; everything is written and printed.

    The threads of the connections may otherwise abort it ("terminate called without an active exception") while
    they, or the interpreter, are shut down; torchrun would report a failure of a complete run.
    """
    if dist.is_available() and dist.is_initialized():
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)
