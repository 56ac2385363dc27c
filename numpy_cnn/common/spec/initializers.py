"""Kaiming and Xavier initial weights, uniform and normal, by torch.nn.init's formulas.

For a weight (O, I, kh, kw) or (out, in), fan_in = I·kh·kw is the number of inputs that one output sums, and
fan_out = O·kh·kw the number of outputs that one input reaches.
"""

import math
from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Shape = tuple[int, ...]
Initializer: TypeAlias = Literal["default", "kaiming_uniform", "kaiming_normal", "xavier_uniform", "xavier_normal"]


def fans(shape: Shape) -> tuple[int, int]:
    """(fan_in, fan_out) of a weight of at least two axes.

    Raises:
        ValueError: it has fewer.
    """
    if len(shape) < 2:
        raise ValueError(f"fan_in and fan_out need a weight of at least two axes, got the shape {shape}")
    window = math.prod(shape[2:])
    return shape[1] * window, shape[0] * window


def kaiming_std(shape: Shape, a: float = 0.0, mode: Literal["fan_in", "fan_out"] = "fan_in") -> float:
    """√2 / √(1 + a²) / √fan, for a leaky ReLU of slope a: the variance stays the same from layer to layer.

    It is 0 for an empty weight.

    Raises:
        ValueError: mode is neither "fan_in" nor "fan_out", or the weight has fewer than two axes.

    Source: K. He et al., Delving deep into rectifiers (2015).
    """
    fan = dict(zip(("fan_in", "fan_out"), fans(shape), strict=True))
    if mode not in fan:
        raise ValueError(f"mode must be 'fan_in' or 'fan_out', got {mode!r}")
    return math.sqrt(2 / (1 + a * a) / fan[mode]) if math.prod(shape) else 0.0


def xavier_std(shape: Shape, gain: float = 1.0) -> float:
    """gain · √(2 / (fan_in + fan_out)), and 0 for an empty weight.

    Source: X. Glorot and Y. Bengio, Understanding the difficulty of training deep feedforward neural networks
    (2010).
    """
    fan = sum(fans(shape))
    return gain * math.sqrt(2 / fan) if math.prod(shape) else 0.0


def uniform(generator: np.random.Generator, shape: Shape, std: float) -> Array:
    """Uniform in ±√3·std, whose standard deviation is std."""
    bound = math.sqrt(3) * std
    return generator.uniform(-bound, bound, shape)


def normal(generator: np.random.Generator, shape: Shape, std: float) -> Array:
    """Normal with mean 0."""
    return generator.normal(0.0, std, shape)


# torch.nn.init's functions of these names with their default arguments.
WEIGHTS: Mapping[str, Callable[[np.random.Generator, Shape], Array]] = {
    "kaiming_uniform": lambda generator, shape: uniform(generator, shape, kaiming_std(shape)),
    "kaiming_normal": lambda generator, shape: normal(generator, shape, kaiming_std(shape)),
    "xavier_uniform": lambda generator, shape: uniform(generator, shape, xavier_std(shape)),
    "xavier_normal": lambda generator, shape: normal(generator, shape, xavier_std(shape)),
}
