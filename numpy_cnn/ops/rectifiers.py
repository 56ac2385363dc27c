"""Rectifiers: activations that are 0, or nearly so, far below 0 and the input itself far above."""

import numpy as np

from numpy_cnn.arguments import Array, Pullback, check_floats, cotangent, real
from numpy_cnn.ops.fast.bits import choose, merge, select
from numpy_cnn.ops.fast.elementwise import elementwise

__all__ = ["elu", "hardswish", "leaky_relu", "relu", "softplus"]


def relu(input: Array) -> tuple[Array, Pullback]:
    """Rectify, as `torch.nn.functional.relu`.

        y = max(x, 0)        dx = dy where x > 0, else 0

    As in torch, the slope is 0 at the kink and 1 at NaN, and −0.0 stays −0.0. The pullback selects instead of
    multiplying: an infinite dy at a dead unit gives 0, not NaN.

    Args:
        input: x, any shape, floating.

    Returns:
        y of x's shape, and the pullback dy → (dx,).

    Raises:
        ValueError: x is not a floating array, or dy does not have the shape of y.

    Source: V. Nair and G. Hinton, Rectified linear units improve restricted Boltzmann machines (2010).
    """
    check_floats("relu", input=input)
    x = input
    # `not x < 0` keeps −0.0 and NaN as they are, unlike `x > 0`, `maximum(x, 0)`, and the clip of some releases.
    y = elementwise(lambda x, y: select(x, ~(x < 0), out=y), x)

    def pullback(dy: Array) -> tuple[Array]:
        # y is ±0 exactly where x ≤ 0; using y means that x need not be kept.
        u = cotangent("relu", dy, y)
        return (elementwise(lambda y, u, dx: select(u, y != 0, out=dx), y, u),)

    return y, pullback


def leaky_relu(input: Array, negative_slope: float = 0.01) -> tuple[Array, Pullback]:
    """Rectify with a slope below zero, as `torch.nn.functional.leaky_relu`.

        y = x · s        dx = dy · s        with s = 1 where x > 0, else negative_slope

    At 0 and at NaN s is negative_slope, as in torch.

    Args:
        input: x, any shape, floating.
        negative_slope: s at x ≤ 0.

    Returns:
        y of x's shape, and the pullback dy → (dx,).

    Raises:
        ValueError: x is not a floating array, negative_slope not a number, or dy does not have the shape of y.

    Source: A. Maas, A. Hannun and A. Ng, Rectifier nonlinearities improve neural network acoustic models (2013).
    """
    check_floats("leaky_relu", input=input)
    x, slope = input, real("leaky_relu", "negative_slope", negative_slope)

    def scale(x: Array, factor: Array, out: Array) -> None:
        np.multiply(factor, choose(x > 0, 1.0, slope, x.dtype), out=out)

    def forward(x: Array, y: Array) -> None:
        if 0 < slope <= 1:  # the larger of x and s·x, in two passes
            np.maximum(x, np.multiply(x, slope, out=y), out=y)
        else:
            scale(x, x, y)

    y = elementwise(forward, x)

    def pullback(dy: Array) -> tuple[Array]:
        return (elementwise(scale, x, cotangent("leaky_relu", dy, y)),)

    return y, pullback


def elu(input: Array, alpha: float = 1.0) -> tuple[Array, Pullback]:
    """The exponential linear unit, as `torch.nn.functional.elu`.

        y = x                 dx = dy             where x > 0
        y = α (eˣ − 1)        dx = dy · α eˣ      elsewhere

    eˣ − 1 is computed by `expm1`, because the difference would cancel near 0. NaN gives NaN. (In torch the
    gradient at NaN depends on the number of elements.)

    Args:
        input: x, any shape, floating.
        alpha: α; y tends to −α as x → −∞.

    Returns:
        y of x's shape, and the pullback dy → (dx,).

    Raises:
        ValueError: x is not a floating array, alpha not a number, or dy does not have the shape of y.

    Source: D. Clevert, T. Unterthiner and S. Hochreiter, Fast and accurate deep network learning by exponential
    linear units (2016).
    """
    check_floats("elu", input=input)
    x, a = input, real("elu", "alpha", alpha)

    def forward(x: Array, y: Array) -> None:
        np.expm1(x, out=y)
        y *= a
        merge(x > 0, x, y, out=y)

    def backward(x: Array, u: Array, dx: Array) -> None:
        np.exp(x, out=dx)
        dx *= a
        dx *= u
        merge(x > 0, u, dx, out=dx)

    y = elementwise(forward, x)
    return y, lambda dy: (elementwise(backward, x, cotangent("elu", dy, y)),)


def softplus(input: Array, beta: float = 1.0, threshold: float = 20.0) -> tuple[Array, Pullback]:
    """A smooth rectifier, as `torch.nn.functional.softplus`.

        y = log(1 + e^(βx)) / β        dx = dy · e^(βx) / (e^(βx) + 1)        where βx ≤ threshold
        y = x                          dx = dy                             where βx > threshold

    Args:
        input: x, any shape, floating.
        beta: β, the sharpness of the bend.
        threshold: the value of βx above which the function is treated as linear.

    Returns:
        y of x's shape, and the pullback dy → (dx,).

    Raises:
        ValueError: x is not a floating array, beta or threshold not a number, or dy does not have the shape of y.

    Source: C. Dugas et al., Incorporating second-order functional knowledge for better option pricing (2001).
    """
    check_floats("softplus", input=input)
    x, b, limit = input, real("softplus", "beta", beta), real("softplus", "threshold", threshold)

    def forward(x: Array, y: Array, slope: Array) -> None:
        linear = np.multiply(x, b, out=y) > limit
        np.exp(y, out=y)
        np.add(y, 1, out=slope)
        np.divide(y, slope, out=slope)
        np.log1p(y, out=y)
        y /= b
        if linear.any():
            merge(linear, x, y, out=y)
            merge(linear, np.ones_like(x), slope, out=slope)

    # The slope is computed with y: it needs the same exp.
    y, slope = elementwise(forward, x, outputs=2)
    return y, lambda dy: (elementwise(np.multiply, slope, cotangent("softplus", dy, y)),)


def hardswish(input: Array) -> tuple[Array, Pullback]:
    """Swish with a piecewise linear gate, as `torch.nn.functional.hardswish`.

        y = x · min(max(x + 3, 0), 6) / 6
        dx = 0 where x ≤ −3,   dy where x ≥ 3,   dy · (x/3 + ½) between

    NaN gives NaN. (In torch the gradient at NaN depends on the number of elements.)

    Args:
        input: x, any shape, floating.

    Returns:
        y of x's shape, and the pullback dy → (dx,).

    Raises:
        ValueError: x is not a floating array, or dy does not have the shape of y.

    Source: A. Howard et al., Searching for MobileNetV3 (2019).
    """
    check_floats("hardswish", input=input)
    x = input

    def forward(x: Array, y: Array) -> None:
        np.add(x, 3, out=y)
        np.clip(y, 0, 6, out=y)  # np.maximum and np.minimum with a number take five times as long each
        y *= x
        y /= 6

    def backward(x: Array, u: Array, dx: Array) -> None:
        np.clip(x, -3, 3, out=dx)
        dx /= 3
        dx -= 0.5 * np.trunc(dx)  # ±½ at the ends only, where the slope is 1 or 0
        dx += 0.5
        dx *= u
        select(dx, ~(x <= -3), out=dx)  # 0 even if u is infinite

    y = elementwise(forward, x)
    return y, lambda dy: (elementwise(backward, x, cotangent("hardswish", dy, y)),)
