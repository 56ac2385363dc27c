"""Optimizers over {name: array}, which match torch.optim step for step.

An optimizer updates its arrays in place. A parameter without a gradient is skipped: neither its value nor its
step count changes, as in torch if .grad is None.
"""

from collections.abc import Callable, Mapping

from numpy_cnn.optim.adagrad import Adagrad
from numpy_cnn.optim.adam import Adam
from numpy_cnn.optim.adamw import AdamW
from numpy_cnn.optim.base import Optimizer
from numpy_cnn.optim.rmsprop import RMSprop
from numpy_cnn.optim.sgd import SGD

__all__ = ["OPTIMIZERS", "SGD", "Adagrad", "Adam", "AdamW", "Optimizer", "RMSprop"]

OPTIMIZERS: Mapping[str, Callable[..., Optimizer]] = {
    "sgd": SGD,
    "adam": Adam,
    "adamw": AdamW,
    "rmsprop": RMSprop,
    "adagrad": Adagrad,
}
