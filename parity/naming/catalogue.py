"""The explanations of each row: specific ones first, then the general ones."""

import inspect
from collections.abc import Iterator
from typing import Any

from parity.naming import (
    average_pooling,
    convolution,
    dense,
    elementwise,
    loss,
    narrow,
    normalization,
    optimizers,
    pointwise_loss,
    pooling,
    resizing,
    scaled_optimizers,
    second,
    softmax,
    unfolding,
)
from parity.naming.activation import ACTIVATIONS
from parity.naming.explanation import Explanation
from parity.naming.general import FACTORS, GENERAL, UPSTREAM, of_arguments, of_options
from parity.naming.network import network
from parity.naming.probe import Probe
from parity.naming.shared_state import shared_by_shape
from parity.rows.double_backward import SUFFIX
from parity.rows.registry import ROWS

OWN: dict[str, tuple[Explanation, ...]] = {
    "conv2d": convolution.CONVOLUTION,
    "conv_transpose2d": convolution.TRANSPOSED,
    "max_pool2d": (*pooling.POOLING, *narrow.WINNERS),
    "avg_pool2d": average_pooling.AVERAGE_POOLING,
    "adaptive_avg_pool2d": resizing.ADAPTIVE_AVERAGE,
    "adaptive_max_pool2d": resizing.ADAPTIVE_MAXIMUM,
    "max_unpool2d": resizing.UNPOOLING,
    "unfold": unfolding.UNFOLD,
    "fold": unfolding.FOLD,
    "pad": resizing.PAD,
    "interpolate": resizing.INTERPOLATE,
    "dropout": resizing.DROPOUT,
    "dropout2d": resizing.DROPOUT,
    "relu": elementwise.RELU,
    **ACTIVATIONS,
    "linear": dense.LINEAR,
    "flatten": dense.FLATTEN,
    "softmax": softmax.SOFTMAX,
    "log_softmax": softmax.LOG_SOFTMAX,
    "nll_loss": loss.NLL,
    "cross_entropy": loss.CROSS_ENTROPY,
    "mse_loss": loss.MSE,
    "l1_loss": pointwise_loss.L1,
    "smooth_l1_loss": pointwise_loss.SMOOTH_L1,
    "huber_loss": pointwise_loss.HUBER,
    "binary_cross_entropy_with_logits": pointwise_loss.BINARY_CROSS_ENTROPY,
    "kl_div": pointwise_loss.KL_DIV,
    "batch_norm": normalization.BATCH_NORM,
    "layer_norm": normalization.LAYER_NORM,
    "group_norm": normalization.GROUP_NORM,
    "instance_norm": normalization.INSTANCE_NORM,
    "SGD": (*optimizers.SGD, *shared_by_shape("SGD")),
    "Adam": (*optimizers.ADAM, *shared_by_shape("Adam")),
    "AdamW": (*optimizers.ADAMW, *shared_by_shape("AdamW")),
    "RMSprop": (*scaled_optimizers.RMSPROP, *shared_by_shape("RMSprop")),
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
    names = tuple(name for name in probe.arrays if not name.startswith("gradient"))
    if row.endswith(SUFFIX):
        yield from second.SECOND
        yield from second.of_directions(names)
        return
    yield from OWN.get(row, ())
    yield from GENERAL
    yield from of_arguments(names)
    yield from of_options(probe.options, _defaults(row))


def _defaults(row: str) -> dict[str, Any]:
    """The defaults of the options of a row's op."""
    op = ROWS[row].op if row in ROWS else None
    parameters = {} if op is None else inspect.signature(op).parameters
    return {name: p.default for name, p in parameters.items() if p.default is not p.empty}
