"""The processes started by mpirun, as a group: `mpirun -n N python -m numpy_cnn train …`."""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

import numpy as np

from numpy_cnn.common.spec.backend import Array
from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.spec.streams import log
from numpy_cnn.common.training.group import Alone, Group, started_by


class MPIGroup:
    """`numpy_cnn.common.training.group.Group` over MPI."""

    def __init__(self) -> None:
        from mpi4py import MPI

        self._world = MPI.COMM_WORLD
        self.rank, self.size = self._world.Get_rank(), self._world.Get_size()

    def all_reduce(self, values: Array) -> Array:
        total = np.empty_like(values)
        # Not the blocking call: while MPI waits in C, Python does not handle signals.
        request = self._world.Iallreduce(np.ascontiguousarray(values), total)
        while not request.Test():
            time.sleep(0)
        return total

    def abort(self) -> None:
        """End all processes: otherwise the others would wait for this one forever."""
        sys.stdout.flush()
        self._world.Abort(2)


@contextmanager
def group() -> Iterator[Group]:
    """The processes of mpirun; only this process without mpirun.

    Raises:
        UserError: mpi4py is not installed, or no MPI library is found.
    """
    if not started_by("mpirun"):
        yield Alone()
        return
    if find_spec("mpi4py") is None:
        raise UserError(
            "several processes were started and mpi4py is not installed: pip install 'cnn-parity[mpi]'"
        )
    try:
        processes = MPIGroup()
    except (ImportError, RuntimeError) as error:
        raise UserError(f"mpi4py finds no MPI library ({error}); install Open MPI or MPICH") from error
    try:
        yield processes
    except UserError as error:
        log(f"numpy_cnn: error: {error}")
        processes.abort()
