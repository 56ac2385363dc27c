"""Adapts implementations in any supported form to ops: `y, pullback = op(*arrays, **options)`."""

from parity.subjects.capabilities import Capabilities
from parity.subjects.errors import Declined, ImplementationError, Unrecognised
from parity.subjects.implementation import Implementation
from parity.subjects.recognise import adapt
from parity.subjects.wrappers import (
    bias_shaped,
    channels_last,
    column_vectors,
    forward_only,
    loss_with_gradient,
    one_hot_targets,
    pads_itself,
    sequences_last,
    single_sample,
    weights_in_out,
    weights_laid,
)

__all__ = [
    "Capabilities",
    "Declined",
    "Implementation",
    "ImplementationError",
    "Unrecognised",
    "adapt",
    "bias_shaped",
    "channels_last",
    "column_vectors",
    "forward_only",
    "loss_with_gradient",
    "one_hot_targets",
    "pads_itself",
    "sequences_last",
    "single_sample",
    "weights_in_out",
    "weights_laid",
]
