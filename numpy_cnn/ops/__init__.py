"""Operations with their gradients, each written by hand in one function.

    y, pullback = op(*arrays, **options)        # names, keywords, layouts and semantics are torch.nn.functional's
    dx, … = pullback(dy)                        # one gradient for each array, in order

An op keeps what its gradient needs in the closure of `pullback`, which is pure: it may be called any number of
times, and writes neither to its argument nor to anything that the caller holds.
"""

from numpy_cnn.ops.activation import relu
from numpy_cnn.ops.convolution import conv2d
from numpy_cnn.ops.linear import flatten, linear
from numpy_cnn.ops.loss import cross_entropy, log_softmax, mse_loss, nll_loss, softmax
from numpy_cnn.ops.normalization import batch_norm
from numpy_cnn.ops.pooling import max_pool2d

__all__ = [
    "batch_norm",
    "conv2d",
    "cross_entropy",
    "flatten",
    "linear",
    "log_softmax",
    "max_pool2d",
    "mse_loss",
    "nll_loss",
    "relu",
    "softmax",
]
