"""`python -m numpy_cnn`: train and use the network written in NumPy."""

import sys

from numpy_cnn.common.backend import Backend
from numpy_cnn.common.command import Program, main
from numpy_cnn.common.data import mnist
from numpy_cnn.common.shift_study.dense import MakeDense


def backend() -> type[Backend]:
    """The NumPy backend."""
    from numpy_cnn.backend import Backend

    return Backend


def dense() -> MakeDense:
    """The NumPy network without a convolution."""
    from numpy_cnn.dense import Dense

    return Dense


PROGRAM = Program("numpy_cnn", backend, mnist.load, dense)

if __name__ == "__main__":
    sys.exit(main(PROGRAM))
