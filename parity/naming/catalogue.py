"""The explanations of each row: specific ones first, then the general ones."""

from collections.abc import Iterator

from parity.naming import (
    average_pooling,
    convolution,
    dense,
    elementwise,
    loss,
    normalization,
    optimizers,
    pooling,
    scaled_optimizers,
    softmax,
)
from parity.naming.activation import ACTIVATIONS
from parity.naming.explanation import Explanation
from parity.naming.general import FACTORS, GENERAL, UPSTREAM, of_arguments, of_options
from parity.naming.network import network
from parity.naming.probe import Probe

OWN: dict[str, tuple[Explanation, ...]] = {
    "conv2d": convolution.CONVOLUTION,
    "max_pool2d": pooling.POOLING,
    "avg_pool2d": average_pooling.AVERAGE_POOLING,
    "relu": elementwise.RELU,
    **ACTIVATIONS,
    "linear": dense.LINEAR,
    "flatten": dense.FLATTEN,
    "softmax": softmax.SOFTMAX,
    "log_softmax": softmax.LOG_SOFTMAX,
    "nll_loss": loss.NLL,
    "cross_entropy": loss.CROSS_ENTROPY,
    "mse_loss": loss.MSE,
    "batch_norm": normalization.BATCH_NORM,
    "layer_norm": normalization.LAYER_NORM,
    "group_norm": normalization.GROUP_NORM,
    "instance_norm": normalization.INSTANCE_NORM,
    "SGD": optimizers.SGD,
    "Adam": optimizers.ADAM,
    "AdamW": optimizers.ADAMW,
    "RMSprop": scaled_optimizers.RMSPROP,
    "Adagrad": scaled_optimizers.ADAGRAD,
}
OWN["SimpleCNN"] = tuple(network({name: (*own, *FACTORS, *UPSTREAM) for name, own in OWN.items()}))

# Names for `--accept`.
CONVENTIONS = tuple(
    dict.fromkeys(e.name for e in (*GENERAL, *(e for own in OWN.values() for e in own)) if e.convention)
)


def explanations_of(row: str, probe: Probe) -> Iterator[Explanation]:
    """Yield the explanations in the order in which they are tried.

    Args:
        row: the row's name; a row that is not in the catalogue has only the general explanations.
        probe: a call of the row's op, for the names of its arrays and options.
    """
    yield from OWN.get(row, ())
    yield from GENERAL
    yield from of_arguments(tuple(name for name in probe.arrays if not name.startswith("gradient")))
    yield from of_options(probe.options)
