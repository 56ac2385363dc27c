"""Which explanations are tried for which row: its own first, for they say more than the general ones."""

from parity.explanations.convolution import CONVOLUTION
from parity.explanations.dense import FLATTEN, LINEAR
from parity.explanations.elementwise import RELU
from parity.explanations.explanation import Explanation
from parity.explanations.general import FACTORS, GENERAL, UPSTREAM
from parity.explanations.loss import CROSS_ENTROPY, MSE, NLL
from parity.explanations.network import network
from parity.explanations.normalization import BATCH_NORM
from parity.explanations.optimizers import ADAM, ADAMW, SGD
from parity.explanations.pooling import POOLING
from parity.explanations.softmax import LOG_SOFTMAX, SOFTMAX
from parity.registry import Row

_OWN: dict[str, tuple[Explanation, ...]] = {
    "conv2d": CONVOLUTION,
    "max_pool2d": POOLING,
    "relu": RELU,
    "linear": LINEAR,
    "flatten": FLATTEN,
    "softmax": SOFTMAX,
    "log_softmax": LOG_SOFTMAX,
    "nll_loss": NLL,
    "cross_entropy": CROSS_ENTROPY,
    "mse_loss": MSE,
    "SGD": SGD,
    "Adam": ADAM,
    "AdamW": ADAMW,
    "batch_norm": BATCH_NORM,
}
_OWN["SimpleCNN"] = tuple(network({name: (*own, *FACTORS, *UPSTREAM) for name, own in _OWN.items()}))

# Names that `accept` takes.
CONVENTIONS = tuple(
    dict.fromkeys(e.name for e in (*GENERAL, *(e for own in _OWN.values() for e in own)) if e.convention)
)


def explanations_of(row: Row) -> list[Explanation]:
    """In the order in which they are tried."""
    return [*_OWN.get(row.name, ()), *GENERAL]
