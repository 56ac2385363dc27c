"""`python -m numpy_cnn`: train and use the network written in NumPy."""

import sys

from numpy_cnn.common.backend import Backend
from numpy_cnn.common.command import Program, main
from numpy_cnn.common.data import mnist


def backend() -> type[Backend]:
    """The NumPy backend."""
    from numpy_cnn.backend import Backend

    return Backend


PROGRAM = Program("numpy_cnn", backend, mnist.load)

if __name__ == "__main__":
    sys.exit(main(PROGRAM))
