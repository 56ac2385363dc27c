"""Initial parameters: drawn once, with NumPy, so that both backends start from the same numbers."""

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from numpy_cnn.common.spec.architecture import Architecture
from numpy_cnn.common.spec.initializers import WEIGHTS, Initializer

# The response is positive where the left is brighter than the right, and negative for the reverse.
VERTICAL_EDGE = [[1.0, 0.0, -1.0]] * 3


def initial_parameters(
    architecture: Architecture, seed: int, dtype: npt.DTypeLike = np.float32, init: Initializer = "default"
) -> dict[str, npt.NDArray[Any]]:
    """Draw every parameter as torch's layers do: uniform in ±1/√fan_in, for weights and biases alike.

    Another `init` draws the weights of convolutions and dense layers by that function of torch.nn.init instead.
    fan_in is the number of inputs that one output sums: I·kh·kw for a convolution, `in` for a dense layer. Batch
    norm begins with scale 1, shift 0, and running statistics of mean 0 and variance 1.

    Source: the defaults of torch.nn.Conv2d and torch.nn.Linear, after K. He et al., Delving deep into
    rectifiers (2015), with a = √5.
    """
    generator = np.random.default_rng([seed, 0])
    parameters: dict[str, npt.NDArray[Any]] = {}
    bound = 0.0
    for name, shape in architecture.parameter_shapes().items():
        if name.endswith("running_mean"):
            parameters[name] = np.zeros(shape, dtype)
        elif name.endswith("running_var"):
            parameters[name] = np.ones(shape, dtype)
        elif name.endswith(".weight") and len(shape) == 1:  # batch norm's scale; its shift follows
            parameters[name], bound = np.ones(shape, dtype), 0.0
        else:
            if name.endswith(".weight"):  # its bias follows and has the same bound
                bound = 1 / math.sqrt(math.prod(shape[1:]))
            if name.endswith(".weight") and init != "default":
                drawn = WEIGHTS[init](generator, shape)
            else:
                drawn = generator.uniform(-bound, bound, shape)
            # Rounded to float32 for every dtype, so that runs in float32 and float64 start from the same point.
            parameters[name] = drawn.astype(np.float32).astype(dtype)
    if architecture.fixed_edges:
        parameters["conv1.weight"] = np.array([[VERTICAL_EDGE]], dtype=dtype)
    return parameters
