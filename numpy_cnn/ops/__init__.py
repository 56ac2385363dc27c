"""Operations with their gradients, each written by hand in one function.

    y, pullback = op(*arrays, **options)        # names, keywords, layouts and semantics are torch.nn.functional's
    dx, … = pullback(dy)                        # one gradient for each array, in order

An op keeps what its gradient needs in the closure of `pullback`. The pullback is pure: it may be called any number
of times, and modifies neither its argument nor any array that the caller holds.
"""

from inspect import isfunction

# Each family lists its public ops in its own __all__, so that adding an op changes one file.
from numpy_cnn.ops.average_pooling import *
from numpy_cnn.ops.batch_normalization import *
from numpy_cnn.ops.classification_loss import *
from numpy_cnn.ops.convolution import *
from numpy_cnn.ops.dropout import *
from numpy_cnn.ops.interpolation import *
from numpy_cnn.ops.linear import *
from numpy_cnn.ops.max_pooling import *
from numpy_cnn.ops.padding import *
from numpy_cnn.ops.probabilities import *
from numpy_cnn.ops.probability_loss import *
from numpy_cnn.ops.rectifiers import *
from numpy_cnn.ops.regression_loss import *
from numpy_cnn.ops.sample_normalization import *
from numpy_cnn.ops.sigmoids import *
from numpy_cnn.ops.transposed_convolution import *
from numpy_cnn.ops.unfolding import *
from numpy_cnn.ops.unpooling import *

__all__ = sorted(name for name, value in globals().items() if isfunction(value) and value is not isfunction)
