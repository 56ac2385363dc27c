"""Which explanations are tried for which row: its own first, for they say more than the general ones."""

from parity.naming.convolution import CONVOLUTION
from parity.naming.dense import FLATTEN, LINEAR
from parity.naming.elementwise import RELU
from parity.naming.explanation import Explanation
from parity.naming.general import FACTORS, GENERAL, UPSTREAM
from parity.naming.loss import CROSS_ENTROPY, MSE, NLL
from parity.naming.network import network
from parity.naming.normalization import BATCH_NORM
from parity.naming.optimizers import ADAM, ADAMW, SGD
from parity.naming.pooling import POOLING
from parity.naming.softmax import LOG_SOFTMAX, SOFTMAX
from parity.rows.row import Row

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
