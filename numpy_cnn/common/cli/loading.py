"""Steps that several commands share: loading the data, and a network from its checkpoint."""

from typing import TYPE_CHECKING

from numpy_cnn.common.data import Dataset, load
from numpy_cnn.common.spec.backend import Backend
from numpy_cnn.common.spec.config import DataConfig
from numpy_cnn.common.training.checkpoint import Checkpoint

if TYPE_CHECKING:
    from numpy_cnn.common.cli.program import Program


def load_data(config: DataConfig, program: "Program") -> Dataset:
    """The data set that the flags name, read by the program's own MNIST reader."""
    return load(config.data, config.data_dir, program.load_mnist, config.download)


def load_network(checkpoint: Checkpoint, program: "Program") -> Backend:
    """The checkpoint's network in the program's backend."""
    return program.backend()(checkpoint.architecture, checkpoint.parameters, checkpoint.config.optimization)
