"""Layers in sequence, and the chain rule as one reversed loop."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from numpy_cnn.arguments import Array, Pullback
from numpy_cnn.ops.normalization import running_statistics

Op: TypeAlias = "Callable[..., tuple[Array, Pullback]] | Residual"
Layer: TypeAlias = tuple[str, Op]
ARRAYS = ("running_mean", "running_var", "weight", "bias")  # in the order in which ops take them


@dataclass(frozen=True)
class Residual:
    """Two chains from one input, whose outputs are added; a shortcut without layers is the input itself.

        y = f(x) + s(x)        dx = fᵀ(dy) + sᵀ(dy)

    x reaches y by two ways, so dy comes back by both and their gradients add: with s(x) = x, dx = fᵀ(dy) + dy.
    """

    residual: Sequence[Layer]
    shortcut: Sequence[Layer] = ()


def chain(
    layers: Sequence[Layer],
    parameters: Mapping[str, Array],
    x: Array,
    *,
    training: bool = False,
    statistics: dict[str, Array] | None = None,
    prefix: str = "",
) -> tuple[Array, Callable[..., tuple[Any, dict[str, Array]]]]:
    """Apply each op to the output of the one before it.

    A layer is a name and an op; the op receives `<name>.weight`, `<name>.bias` and batch norm's running statistics
    where `parameters` has them.

        y = fₗ(… f₂(f₁(x)))        dx = f₁ᵀ(f₂ᵀ(… fₗᵀ(dy)))

    Args:
        layers: names and ops; an op may be a `Residual`, which is two chains.
        parameters: {torch's name: array}, buffers included.
        x: the input of the first layer.
        training: whether batch norm normalizes by the batch's statistics, or by the running ones.
        statistics: in training, receives the new running statistics under their names.
        prefix: of all names, where the chain is part of a layer.

    Returns:
        y, and the pullback dy → (dx, {name: gradient}).
        `pullback(dy, input_gradient=False)` returns None for dx, and saves the work where the first layer has
        parameters: training does not use the gradient of the images.
    """
    pullbacks = []
    for name, op in layers:
        apply = _residual if isinstance(op, Residual) else _op
        x, layer_pullback = apply(op, prefix + name, parameters, x, training, statistics)
        pullbacks.append(layer_pullback)

    def pullback(dy: Array, input_gradient: bool = True) -> tuple[Array | None, dict[str, Array]]:
        gradients: dict[str, Array] = {}
        dx: Array | None = dy
        for depth in reversed(range(len(pullbacks))):
            dx, of_parameters = pullbacks[depth](dx, input_gradient or depth > 0)
            gradients.update(of_parameters)
        return dx if input_gradient else None, gradients

    return x, pullback


def _op(
    op: Any,
    name: str,
    parameters: Mapping[str, Array],
    x: Array,
    training: bool,
    statistics: dict[str, Array] | None,
) -> tuple[Array, Callable[[Any, bool], tuple[Any, dict[str, Array]]]]:
    """One op, with its gradients by name."""
    own = [p for p in (f"{name}.{array}" for array in ARRAYS) if p in parameters]
    arrays = [parameters[p] for p in own]
    if own[:1] == [f"{name}.running_mean"]:
        op = partial(op, training=training)
        if training and statistics is not None:
            statistics.update(zip(own[:2], running_statistics(x, arrays[0], arrays[1]), strict=True))
    y, op_pullback = op(x, *arrays)

    def pullback(dy: Any, input_gradient: bool) -> tuple[Any, dict[str, Array]]:
        if input_gradient or not own:
            dx, *gradients = op_pullback(dy)
        else:
            dx, *gradients = op_pullback(dy, needs_input_grad=(False, True, True))
        # Buffers have no gradient, and neither has a bias that is not there.
        return dx, {p: g for p, g in zip(own, gradients, strict=False) if g is not None}

    return y, pullback


def _residual(
    op: Any,
    name: str,
    parameters: Mapping[str, Array],
    x: Array,
    training: bool,
    statistics: dict[str, Array] | None,
) -> tuple[Array, Callable[[Any, bool], tuple[Any, dict[str, Array]]]]:
    """Both chains of a `Residual`, with the gradients of both."""
    branch = partial(chain, parameters=parameters, x=x, training=training, statistics=statistics)
    f, f_pullback = branch(op.residual, prefix=f"{name}.residual.")
    s, s_pullback = branch(op.shortcut, prefix=f"{name}.shortcut.")

    def pullback(dy: Any, input_gradient: bool) -> tuple[Any, dict[str, Array]]:  # noqa: ARG001  # _op's signature
        f_dx, f_gradients = f_pullback(dy)
        s_dx, s_gradients = s_pullback(dy)
        return f_dx + s_dx, f_gradients | s_gradients

    return f + s, pullback
