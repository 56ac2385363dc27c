"""Sigmoids, and the activations that they gate."""

import math

import numpy as np

from numpy_cnn.arguments import Array, Pullback, check_floats, cotangent
from numpy_cnn.ops.fast.bits import merge
from numpy_cnn.ops.fast.elementwise import elementwise, logistic
from numpy_cnn.ops.fast.normal_tail import normal_tail

__all__ = ["gelu", "sigmoid", "silu", "tanh"]


def sigmoid(input: Array) -> tuple[Array, Pullback]:
    """The logistic function, as `torch.sigmoid`.

        y = 1 / (1 + e⁻ˣ)        dx = dy · (1 − y) · y

    Where e⁻ˣ overflows, y is 0, which is its limit.

    Args:
        input: x, any shape, floating.

    Returns:
        y of x's shape, and the pullback dy → (dx,).

    Raises:
        ValueError: x is not a floating array, or dy does not have the shape of y.

    Source: D. Rumelhart, G. Hinton and R. Williams, Learning representations by back-propagating errors (1986).
    """
    check_floats("sigmoid", input=input)
    y = elementwise(logistic, input)

    def backward(y: Array, u: Array, dx: Array) -> None:
        np.subtract(1, y, out=dx)
        dx *= u
        dx *= y

    return y, lambda dy: (elementwise(backward, y, cotangent("sigmoid", dy, y)),)


def tanh(input: Array) -> tuple[Array, Pullback]:
    """The hyperbolic tangent, as `torch.tanh`.

        y = (eˣ − e⁻ˣ) / (eˣ + e⁻ˣ)        dx = dy · (1 − y²)

    Args:
        input: x, any shape, floating.

    Returns:
        y of x's shape, and the pullback dy → (dx,).

    Raises:
        ValueError: x is not a floating array, or dy does not have the shape of y.

    Source: Y. LeCun, L. Bottou, G. Orr and K. Müller, Efficient BackProp (1998).
    """
    check_floats("tanh", input=input)
    y = elementwise(np.tanh, input)

    def backward(y: Array, u: Array, dx: Array) -> None:
        np.multiply(y, y, out=dx)
        np.subtract(1, dx, out=dx)
        dx *= u

    return y, lambda dy: (elementwise(backward, y, cotangent("tanh", dy, y)),)


def silu(input: Array) -> tuple[Array, Pullback]:
    """The input times its sigmoid (swish), as `torch.nn.functional.silu`.

        y = x / (1 + e⁻ˣ)        dx = dy · σ (1 + x (1 − σ))        with σ = 1 / (1 + e⁻ˣ)

    Args:
        input: x, any shape, floating.

    Returns:
        y of x's shape, and the pullback dy → (dx,).

    Raises:
        ValueError: x is not a floating array, or dy does not have the shape of y.

    Source: S. Elfwing, E. Uchibe and K. Doya, Sigmoid-weighted linear units for neural network function
    approximation (2018); P. Ramachandran, B. Zoph and Q. Le, Searching for activation functions (2017).
    """
    check_floats("silu", input=input)
    x = input

    def forward(x: Array, y: Array, s: Array) -> None:
        logistic(x, s)
        np.multiply(x, s, out=y)

    def backward(x: Array, s: Array, u: Array, dx: Array) -> None:
        np.subtract(1, s, out=dx)
        dx *= x
        dx += 1
        dx *= s
        dx *= u

    y, s = elementwise(forward, x, outputs=2)
    return y, lambda dy: (elementwise(backward, x, s, cotangent("silu", dy, y)),)


def gelu(input: Array, approximate: str = "none") -> tuple[Array, Pullback]:
    """The input times the normal distribution function of the input, as `torch.nn.functional.gelu`.

        none:   y = x Φ(x)                dx = dy · (Φ(x) + x φ(x))
        tanh:   y = ½ x (1 + tanh v)      dx = dy · (½ (1 + tanh v) + ½ x (1 − tanh² v) v′)

    with the normal density φ(x) = e^(−x²/2)/√(2π) and its integral Φ, and in the approximation
    v = √(2/π) (x + 0.044715 x³), v′ = √(2/π) (1 + 3 · 0.044715 x²). At ∞ both forms give ∞. (Torch's exact form
    gives NaN there for more than one float32.)

    Args:
        input: x, any shape, floating.
        approximate: "none" or "tanh".

    Returns:
        y of x's shape, and the pullback dy → (dx,).

    Raises:
        ValueError: x is not a floating array, approximate is neither, or dy does not have the shape of y.

    Source: D. Hendrycks and K. Gimpel, Gaussian error linear units (2016); for Φ `numpy_cnn.ops.fast.normal_tail`.
    """
    check_floats("gelu", input=input)
    if approximate not in ("none", "tanh"):
        raise ValueError(f"gelu: approximate must be 'none' or 'tanh', got {approximate!r}")
    x = input
    if approximate == "tanh":
        y, t = elementwise(_gelu_by_tanh, x, outputs=2)
        return y, lambda dy: (elementwise(_gelu_by_tanh_backward, x, t, cotangent("gelu", dy, y)),)
    y, slope = elementwise(_gelu, x, outputs=2)  # the slope needs the same exp as y
    return y, lambda dy: (elementwise(np.multiply, slope, cotangent("gelu", dy, y)),)


def _gelu(x: Array, y: Array, slope: Array) -> None:
    """The exact form. y first receives Φ, and the slope e^(−x²/2)."""
    tail = normal_tail(x, slope)
    np.subtract(1, tail, out=y)
    merge(x < 0, tail, y, out=y)
    slope *= 1 / math.sqrt(2 * math.pi)
    slope *= x
    slope += y
    y *= x


SLOPE, CUBIC = math.sqrt(2 / math.pi), 0.044715  # v = SLOPE · (x + CUBIC · x³)


def _gelu_by_tanh(x: Array, y: Array, t: Array) -> None:
    """The approximation; t receives tanh v."""
    np.multiply(x, x, out=t)
    t *= SLOPE * CUBIC
    t += SLOPE
    t *= x
    np.tanh(t, out=t)
    np.add(t, 1, out=y)
    y *= 0.5
    y *= x


def _gelu_by_tanh_backward(x: Array, t: Array, u: Array, dx: Array) -> None:
    np.multiply(x, x, out=dx)
    dx *= 3 * SLOPE * CUBIC
    dx += SLOPE
    dx *= x
    dx *= 1 - t * t
    dx += t
    dx += 1
    dx *= 0.5
    dx *= u
