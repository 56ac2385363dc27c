"""Whole networks with one mistake in a layer, or between two."""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

import numpy_cnn
from numpy_cnn import ops
from numpy_cnn.arguments import Array
from numpy_cnn.chain import Layer
from numpy_cnn.common.spec.architecture import Architecture
from parity.exam.bug import plant, planted
from parity.exam.call import Called, Change
from parity.exam.changes import in_dtype, instead, result, upstream
from parity.rows.generated import Description, built

cnn, generated = partial(plant, "SimpleCNN"), partial(plant, "network")


def network(
    x: Array,
    *parameters: Array,
    architecture: dict[str, Any],
    target: Array,
    layers: Callable[[list[Layer], Architecture], list[Layer]] = lambda layers, a: layers,  # noqa: ARG005
    reduction: Any = "sum",
    gradients_of: Callable[[dict[str, Array]], dict[str, Array]] = lambda gradients: gradients,
) -> Called:
    """The row's op, with replaceable layers and gradients."""
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


def part(**parts: Any) -> Change:
    """Replace parts of the network."""
    return instead(partial(network, **parts))


def layer(name: str, wrong: Callable[[Architecture], Any]) -> Change:
    """Replace the op of one layer."""
    return part(layers=lambda layers, a: [(n, wrong(a) if n == name else op) for n, op in layers])


def _zero_of_last_bias(gradients: dict[str, Array]) -> dict[str, Array]:
    last = max(name for name in gradients if name.endswith(".bias"))
    return gradients | {last: np.zeros_like(gradients[last])}


def _softmax_twice(layers: list[Layer], a: Architecture) -> list[Layer]:
    return layers + [("softmax", partial(ops.softmax, dim=1))] * (a.loss == "cross_entropy")


def _paths(layers: Description, function: str, prefix: str = "") -> Iterator[str]:
    """Yield the names of the layers of one function, including those in residual blocks."""
    for name, of, inner in layers:
        if of == function:
            yield prefix + name
        elif of == "residual":
            yield from _paths(inner, function, f"{prefix}{name}.residual.")


def function(of: str, wrong: str) -> Change:
    """Replace every layer of one function by a planted bug."""

    def called(x: Array, *parameters: Array, layers: Description) -> Called:
        return built(layers, dict.fromkeys(_paths(layers, of), planted(wrong)))(x, *parameters)

    return instead(called)


# fmt: off
cnn("cnn-flatten-order-f", "order-f reshaped-f",
    layer("flatten", lambda _: partial(planted("flatten-order-f"), start_dim=1)))
cnn("cnn-hidden-relu-missing", "relu-passes-all",
    part(layers=lambda layers, _: [layer for layer in layers if layer[0] != "relu2"]),
    description="The activation between the two dense layers is missing.")
cnn("cnn-relu-not-in-the-chain", "relu-passes-all", layer("relu1", lambda _: planted("relu-passes-all")),
    description="The first ReLU is left out of the backward.")
cnn("cnn-relu-rectifies-the-gradient", "mask-of-upstream",
    layer("relu1", lambda _: planted("relu-mask-of-upstream")))
cnn("cnn-pool-ties-to-all", "ties-to-all",
    layer("pool1", lambda a: partial(planted("pool-ties-to-all"), kernel_size=a.pool)))
cnn("cnn-conv-dw-last-image-only", "last-sample-only",
    layer("conv1", lambda a: partial(planted("conv-dw-last-sample-only"), stride=a.stride, padding=a.padding)))
cnn("cnn-bias-not-trained", "bias-missing zero", part(gradients_of=_zero_of_last_bias),
    description="The last bias gets a gradient of zero.")
cnn("cnn-loss-averaged", "reduction-mean gradient-of-mean mean batch-mean divided-by-positions sum half",
    part(reduction="mean"), description="The loss is averaged instead of summed.")
cnn("cnn-upstream-ignored", "upstream-ignored", upstream(lambda dy, _: np.ones_like(dy)))
cnn("cnn-softmax-twice", "softmax-twice", part(layers=_softmax_twice))
cnn("cnn-float32-inside", "float32-inside", in_dtype(np.float32))
cnn("cnn-no-gradient-for-the-image", "zero", result(lambda g, _: np.zeros_like(g)), "dx")

generated("network-relu-passes-all", "relu-passes-all", function("relu", "relu-passes-all"))
generated("network-relu-slope-at-zero", "relu-at-zero", function("relu", "relu-slope-at-zero"))
generated("network-flatten-order-f", "order-f reshaped-f", function("flatten", "flatten-order-f"))
generated("network-linear-bias-missing", "bias-missing argument-missing",
          function("linear", "linear-bias-missing"))
# fmt: on
