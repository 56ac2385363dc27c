"""Whole networks with one mistake in a layer, or between two."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import numpy_cnn
from numpy_cnn import ops
from numpy_cnn.arguments import Array
from numpy_cnn.chain import Layer
from numpy_cnn.common.spec.architecture import Architecture
from parity.exam.activation import relu_mask_of_upstream
from parity.exam.bug import planted
from parity.exam.convolution import conv_dw_last_sample_only
from parity.exam.edits import Called, edited
from parity.exam.linear import flatten_order_f
from parity.exam.pooling import pool_ties_to_all


def network(
    x: Array,
    parameters: tuple[Array, ...],
    architecture: dict[str, Any],
    target: Array,
    layers: Callable[[list[Layer], Architecture], list[Layer]] = lambda layers, a: layers,  # noqa: ARG005
    reduction: Any = "sum",
    gradients_of: Callable[[dict[str, Array]], dict[str, Array]] = lambda gradients: gradients,
) -> Called:
    """The row's op, with its layers and its gradients open to change."""
    a = Architecture.from_json(architecture)
    names = [*a.parameter_shapes()]
    model = numpy_cnn.SimpleCNN(a, parameters=dict(zip(names, parameters, strict=True)))
    model.layers = layers(model.layers, a)
    scores, back = model(x)
    loss = ops.mse_loss if a.loss == "mse" else ops.cross_entropy
    y, loss_back = loss(scores, target, reduction=reduction)

    def pullback(dy: Array) -> tuple[Any, ...]:
        dx, gradients = back(loss_back(dy)[0])
        gradients = gradients_of(gradients)
        return dx, *(gradients[name] for name in names)

    return y, pullback


def _replaced(layers: list[Layer], **by: Any) -> list[Layer]:
    """Other ops in the place of some layers."""
    return [(name, by.get(name, op)) for name, op in layers]


@planted("SimpleCNN", explained=("order-f", "reshaped-f"))
def cnn_flatten_order_f(x: Array, *parameters: Array, architecture: Any, target: Array) -> Called:
    """The image is flattened column by column, so that fc1's weights meet other pixels."""
    flat = partial(flatten_order_f, start_dim=1)
    return network(x, parameters, architecture, target, lambda layers, _: _replaced(layers, flatten=flat))


@planted("SimpleCNN", explained=("relu-passes-all",))
def cnn_hidden_relu_missing(x: Array, *parameters: Array, architecture: Any, target: Array) -> Called:
    """The activation between the two dense layers is missing."""
    return network(
        x, parameters, architecture, target, lambda layers, _: [layer for layer in layers if layer[0] != "relu2"]
    )


@planted("SimpleCNN", explained=("relu-passes-all",))
def cnn_relu_not_in_the_chain(x: Array, *parameters: Array, architecture: Any, target: Array) -> Called:
    """The first ReLU is left out of the backward."""

    def only_forward(x: Array) -> Called:
        return ops.relu(x)[0], lambda dy: (dy,)

    return network(x, parameters, architecture, target, lambda layers, _: _replaced(layers, relu1=only_forward))


@planted("SimpleCNN", explained=("mask-of-upstream",))
def cnn_relu_rectifies_the_gradient(x: Array, *parameters: Array, architecture: Any, target: Array) -> Called:
    """The first ReLU rectifies its gradient."""
    return network(
        x, parameters, architecture, target, lambda layers, _: _replaced(layers, relu1=relu_mask_of_upstream)
    )


@planted("SimpleCNN", explained=("ties-to-all",))
def cnn_pool_ties_to_all(x: Array, *parameters: Array, architecture: Any, target: Array) -> Called:
    """Pixels that tie in a pooling window all take the gradient: most ties are zeros behind the ReLU."""

    def layers(before: list[Layer], a: Architecture) -> list[Layer]:
        return _replaced(before, pool1=partial(pool_ties_to_all, kernel_size=a.pool))

    return network(x, parameters, architecture, target, layers)


@planted("SimpleCNN", explained=("last-sample-only",))
def cnn_conv_dw_last_image_only(x: Array, *parameters: Array, architecture: Any, target: Array) -> Called:
    """The kernels learn from the last image of the batch alone."""

    def layers(before: list[Layer], a: Architecture) -> list[Layer]:
        return _replaced(before, conv1=partial(conv_dw_last_sample_only, stride=a.stride, padding=a.padding))

    return network(x, parameters, architecture, target, layers)


@planted("SimpleCNN", explained=("bias-missing", "zero"))
def cnn_bias_not_trained(x: Array, *parameters: Array, architecture: Any, target: Array) -> Called:
    """The last bias gets a gradient of zero."""
    last = "fc2.bias" if Architecture.from_json(architecture).hidden else "fc1.bias"
    return network(x, parameters, architecture, target, gradients_of=lambda g: g | {last: np.zeros_like(g[last])})


@planted(
    "SimpleCNN",
    explained=("reduction-mean", "gradient-of-mean", "mean", "batch-mean", "divided-by-positions", "sum", "half"),
)
def cnn_loss_averaged(x: Array, *parameters: Array, architecture: Any, target: Array) -> Called:
    """The loss is averaged where it should be summed."""
    return network(x, parameters, architecture, target, reduction="mean")


@planted("SimpleCNN", explained=("upstream-ignored",))
def cnn_upstream_ignored(x: Array, *parameters: Array, architecture: Any, target: Array) -> Called:
    """The backward begins with 1, whatever comes from above."""
    return edited(network(x, parameters, architecture, target), dy=np.ones_like)


@planted("SimpleCNN", explained=("softmax-twice",))
def cnn_softmax_twice(x: Array, *parameters: Array, architecture: Any, target: Array) -> Called:
    """A softmax stands before a loss that has one itself."""
    twice = [("softmax", partial(ops.softmax, dim=1))] if architecture["loss"] == "cross_entropy" else []
    return network(x, parameters, architecture, target, lambda layers, _: layers + twice)


@planted("SimpleCNN", explained=("float32-inside",))
def cnn_float32_inside(x: Array, *parameters: Array, architecture: Any, target: Array) -> Called:
    """Images are cast to single precision at the door."""
    own = x.dtype
    return edited(
        network(x.astype(np.float32).astype(own), parameters, architecture, target)
        if own == np.float32
        else _narrow(x, parameters, architecture, target)
    )


def _narrow(x: Array, parameters: tuple[Array, ...], architecture: Any, target: Array) -> Called:
    if target.dtype.kind == "f":
        target = target.astype(np.float32)
    y, pullback = network(
        x.astype(np.float32), tuple(p.astype(np.float32) for p in parameters), architecture, target
    )
    return y.astype(np.float64), lambda dy: tuple(g.astype(np.float64) for g in pullback(dy))


@planted("SimpleCNN", explained=("zero",))
def cnn_no_gradient_for_the_image(x: Array, *parameters: Array, architecture: Any, target: Array) -> Called:
    """The image's gradient is zeros, for training never asks for it."""
    return edited(network(x, parameters, architecture, target), dx=np.zeros_like)
