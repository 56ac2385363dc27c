"""Element-wise activations."""

from numpy_cnn.arguments import Array, Pullback, check_floats, cotangent
from numpy_cnn.ops.fast.bits import select

__all__ = ["relu"]


def relu(input: Array) -> tuple[Array, Pullback]:
    """Rectify, as `torch.nn.functional.relu`.

        y = max(x, 0)        dx = dy where x > 0, else 0

    At the kink the slope is 0; NaN lets dy through and −0.0 stays −0.0, as in torch. The pullback selects and
    does not multiply: an infinite dy at a dead unit gives 0, not NaN.

    Args:
        input: x, any shape, floating.

    Returns:
        y of x's shape, and the pullback dy → (dx,).

    Source: V. Nair and G. Hinton, Rectified linear units improve restricted Boltzmann machines (2010).
    """
    check_floats("relu", input=input)
    x = input
    # `not x < 0` and neither `x > 0` nor `maximum(x, 0)`: the comparison keeps −0.0 and NaN as they are.
    y = select(x, ~(x < 0))

    def pullback(dy: Array) -> tuple[Array]:
        # y is 0, of either sign, exactly where x ≤ 0; and y is kept anyway.
        return (select(cotangent("relu", dy, y), y != 0),)

    return y, pullback
