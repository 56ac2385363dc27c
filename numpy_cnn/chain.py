"""Layers in sequence, and the chain rule as one reversed loop."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

from numpy_cnn.arguments import Array, Pullback

Layer: TypeAlias = tuple[str, Callable[..., tuple[Array, Pullback]]]


def chain(
    layers: Sequence[Layer], parameters: Mapping[str, Array], x: Array
) -> tuple[Array, Callable[..., tuple[Any, dict[str, Array]]]]:
    """Apply each op to the output of the one before it.

    A layer is a name and an op; the op is given `<name>.weight` and `<name>.bias` where `parameters` has them.

        y = fₗ(… f₂(f₁(x)))        dx = f₁ᵀ(f₂ᵀ(… fₗᵀ(dy)))

    Returns:
        y, and the pullback dy → (dx, {name: gradient}).
        `pullback(dy, input_gradient=False)` gives None for dx, and saves the work when the first layer is the one
        with parameters: in training nobody asks how the picture should change.
    """
    pullbacks = []
    for name, op in layers:
        own = [p for p in (f"{name}.weight", f"{name}.bias") if p in parameters]
        x, layer_pullback = op(x, *[parameters[p] for p in own])
        pullbacks.append((own, layer_pullback))

    def pullback(dy: Array, input_gradient: bool = True) -> tuple[Array | None, dict[str, Array]]:
        gradients: dict[str, Array] = {}
        dx: Array | None = dy
        for depth in reversed(range(len(pullbacks))):
            own, layer_pullback = pullbacks[depth]
            if depth or input_gradient or not own:
                dx, *of_parameters = layer_pullback(dx)
            else:
                dx, *of_parameters = layer_pullback(dx, needs_input_grad=(False, True, True))
            gradients.update(zip(own, of_parameters, strict=False))  # no bias: its gradient is None and unnamed
        return dx if input_gradient else None, gradients

    return x, pullback
