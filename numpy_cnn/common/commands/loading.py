"""What several commands begin with: the data, and a network from its checkpoint."""

from typing import TYPE_CHECKING

from numpy_cnn.common.backend import Backend
from numpy_cnn.common.checkpoint import Checkpoint
from numpy_cnn.common.config import DataConfig
from numpy_cnn.common.data import Dataset, load

if TYPE_CHECKING:
    from numpy_cnn.common.command import Program


def load_data(config: DataConfig, program: "Program") -> Dataset:
    """The data set that the flags name, through the program's own reader of MNIST."""
    return load(config.data, config.data_dir, program.load_mnist, config.download)


def load_network(checkpoint: Checkpoint, program: "Program") -> Backend:
    """The checkpoint's network in the program's backend."""
    return program.backend()(checkpoint.architecture, checkpoint.parameters, checkpoint.config.optimization)
