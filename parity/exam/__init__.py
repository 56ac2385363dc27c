"""A catalogue of planted bugs: the exam that the harness sits, written without a look at how it answers.

`PLANTED` are implementations with one mistake each, `CORRECT` such that are right and done another way. Every bug
has to be found, none of the right ones may be. `python -m parity self-test` runs both.
"""

from parity.exam import (
    activation,
    convolution,
    correct,
    general,
    linear,
    loss,
    network,
    normalization,
    optimizers,
    options,
    pooling,
    softmax,
)
from parity.exam.bug import CORRECT, PLANTED, Correct, Planted

__all__ = [
    "CORRECT",
    "PLANTED",
    "Correct",
    "Planted",
    "activation",
    "convolution",
    "correct",
    "general",
    "linear",
    "loss",
    "network",
    "normalization",
    "optimizers",
    "options",
    "pooling",
    "softmax",
]
