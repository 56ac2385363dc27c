"""Layers in sequence, and the chain rule as one reversed loop."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias

from numpy_cnn.arguments import Array, Pullback
from numpy_cnn.ops.batch_normalization import batch_norm, batch_norm_and_statistics, running_statistics
from numpy_cnn.ops.dropout import dropout

Op: TypeAlias = "Callable[..., tuple[Array, Pullback]] | Residual"
Layer: TypeAlias = tuple[str, Op]
ARRAYS = ("running_mean", "running_var", "weight", "bias")  # in the order in which ops take them


@dataclass(frozen=True)
class Residual:
    """Two chains from one input, whose outputs are added; a shortcut without layers is the input itself.

        y = f(x) + s(x)        dx = fᵀ(dy) + sᵀ(dy)

    x reaches y along two paths, so the gradients of both are added: for s(x) = x, dx = fᵀ(dy) + dy.

    Args:
        residual: the layers of f.
        shortcut: the layers of s; none for the identity.

    Source: K. He, X. Zhang, S. Ren and J. Sun, Deep residual learning for image recognition (2016).
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
    masks: Mapping[str, Array] | None = None,
    prefix: str = "",
) -> tuple[Array, Callable[..., tuple[Any, dict[str, Array]]]]:
    """Apply each op to the output of the previous one.

        y = fₗ(… f₂(f₁(x)))        dx = f₁ᵀ(f₂ᵀ(… fₗᵀ(dy)))

    Args:
        layers: (name, op) pairs; an op receives `<name>.weight`, `<name>.bias` and batch norm's running statistics
            if `parameters` has them. A `Residual` in place of an op is two chains.
        parameters: {torch's name: array}, including buffers.
        x: the input of the first layer.
        training: whether dropout drops, and batch norm uses the batch's statistics instead of the running ones.
        statistics: in training, receives the new running statistics under their names.
        masks: in training, {name of a dropout layer: its mask}.
        prefix: of all names, if the chain is part of a layer.

    Returns:
        y, and the pullback dy → (dx, {name: gradient}).
        `pullback(dy, input_gradient=False)` returns None for dx, and skips its computation if the first layer has
        parameters: training does not need the gradient of the images.

    Raises:
        ValueError: from an op, if an array does not fit.

    Source: D. Rumelhart, G. Hinton and R. Williams, Learning representations by back-propagating errors (1986).
    """
    pullbacks = []
    for name, op in layers:
        apply = _residual if isinstance(op, Residual) else _op
        x, layer_pullback = apply(op, prefix + name, parameters, x, training, statistics, masks or {})
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
    masks: Mapping[str, Array],
) -> tuple[Array, Callable[[Any, bool], tuple[Any, dict[str, Array]]]]:
    """One op, with its gradients by name."""
    own = [p for p in (f"{name}.{array}" for array in ARRAYS) if p in parameters]
    arrays: list[Any] = [parameters[p] for p in own]
    if own[:1] == [f"{name}.running_mean"]:
        mean, var = arrays[:2]
        updated = training and statistics is not None
        of_batch: tuple[Array, ...] = ()
        if updated and op is batch_norm:  # the common case: compute the moments once
            y, op_pullback, of_batch = batch_norm_and_statistics(x, mean, var, *arrays[2:])
        else:
            y, op_pullback = op(x, *arrays, training=training)
            if updated:
                of_batch = running_statistics(x, mean, var)
        if statistics is not None:
            statistics.update(zip(own, of_batch, strict=False))
    elif getattr(op, "func", op) is dropout:
        y, op_pullback = op(x, training=training, mask=masks.get(name))
    else:
        y, op_pullback = op(x, *arrays)

    def pullback(dy: Any, input_gradient: bool) -> tuple[Any, dict[str, Array]]:
        if input_gradient or not own:
            dx, *gradients = op_pullback(dy)
        else:
            dx, *gradients = op_pullback(dy, needs_input_grad=(False, True, True))
        # Buffers have no gradient, and a missing bias has none either.
        return dx, {p: g for p, g in zip(own, gradients, strict=False) if g is not None}

    return y, pullback


def _residual(
    op: Any,
    name: str,
    parameters: Mapping[str, Array],
    x: Array,
    training: bool,
    statistics: dict[str, Array] | None,
    masks: Mapping[str, Array],
) -> tuple[Array, Callable[[Any, bool], tuple[Any, dict[str, Array]]]]:
    """Both chains of a `Residual`, with the gradients of both."""
    branch = partial(chain, parameters=parameters, x=x, training=training, statistics=statistics, masks=masks)
    f, f_pullback = branch(op.residual, prefix=f"{name}.residual.")
    s, s_pullback = branch(op.shortcut, prefix=f"{name}.shortcut.")

    def pullback(dy: Any, input_gradient: bool) -> tuple[Any, dict[str, Array]]:  # noqa: ARG001  # _op's signature
        f_dx, f_gradients = f_pullback(dy)
        s_dx, s_gradients = s_pullback(dy)
        return f_dx + s_dx, f_gradients | s_gradients

    return f + s, pullback
