"""The whole SimpleCNN with its loss as one op: op(input, *parameters) → loss, with every gradient."""

from typing import Any, get_args

import torch
import torch.nn.functional as F  # noqa: N812  # the name the field uses
from hypothesis import strategies as st

import numpy_cnn
import torch_cnn
from numpy_cnn import ops
from numpy_cnn.arguments import Pullback
from numpy_cnn.common.spec.architecture import Activation, Architecture
from parity.cases.case import ArraySpec, Case, Lane
from parity.cases.op import Array
from parity.cases.primitives import booleans, composite, integers, sampled
from parity.cases.sizes import DTYPES, SEEDS, extent
from parity.rows.row import NUMBERS, Row


def by_hand(x: Array, *parameters: Array, architecture: dict[str, Any], target: Array) -> tuple[Array, Pullback]:
    """numpy_cnn's network with the summed loss of its architecture."""
    a = Architecture.from_json(architecture)
    names = [*a.parameter_shapes()]
    scores, network_pullback = numpy_cnn.SimpleCNN(a, parameters=dict(zip(names, parameters, strict=True)))(x)
    loss = ops.mse_loss if a.loss == "mse" else ops.cross_entropy
    y, loss_pullback = loss(scores, target, reduction="sum")

    def pullback(dy: Array) -> tuple[Array, ...]:
        dx, gradients = network_pullback(loss_pullback(dy)[0])
        return dx, *(gradients[name] for name in names)

    return y, pullback


def of_torch(
    x: torch.Tensor, *parameters: torch.Tensor, architecture: dict[str, Any], target: torch.Tensor
) -> torch.Tensor:
    """torch_cnn's network with the same loss."""
    a = Architecture.from_json(architecture)
    named = dict(zip(a.parameter_shapes(), parameters, strict=True))
    scores = torch.func.functional_call(torch_cnn.SimpleCNN(a), named, (x,))
    loss = F.mse_loss if a.loss == "mse" else F.cross_entropy
    return loss(scores, target, reduction="sum")


@composite
def networks(draw: st.DrawFn, lane: Lane) -> Case:
    """Architectures of every kind: strides, padding, pooling, with and without a hidden layer, fixed edges.

    For exact results: the squared error and float64. With numbers up to 2, no sum exceeds 2^37:
    conv1 stays below 2^8, fc1 below 2^14, fc2 below 2^18, a squared score below 2^36.
    """
    fixed = draw(sampled([False, False, False, True]))
    kernel, stride, pool = 3 if fixed else draw(extent(3)), draw(extent(2)), draw(extent(3))
    padding = draw(integers(0, 1))

    def size() -> int:
        after_pool, rest = draw(integers(1, 3)), draw(integers(0, pool - 1))
        convolved = after_pool * pool + rest
        return max(1, (convolved - 1) * stride + kernel + draw(integers(0, stride - 1)) - 2 * padding)

    exact = lane != "bound"
    architecture = Architecture(
        image_size=(size(), size()),
        in_channels=1 if fixed else draw(extent(2)),
        filters=1 if fixed else draw(extent(3)),
        kernel_size=kernel,
        stride=stride,
        padding=padding,
        pool=pool,
        hidden=draw(extent(6)) if draw(booleans) else None,
        classes=draw(extent(4)),
        loss="mse" if exact or draw(booleans) else "cross_entropy",
        fixed_edges=fixed,
        activation="relu" if exact else draw(sampled(get_args(Activation))),
    )
    images = draw(extent(3))
    shapes = architecture.parameter_shapes()
    target = (
        ArraySpec("target", (images, architecture.classes), keyword=True)
        if architecture.loss == "mse"
        else ArraySpec("target", (images,), "classes", architecture.classes, keyword=True)
    )
    arrays = (
        ArraySpec("input", (images, architecture.in_channels, *architecture.image_size)),
        *(ArraySpec(name, shape) for name, shape in shapes.items()),
        target,
    )
    dtype = "float64" if exact else draw(DTYPES)
    magnitude = draw(integers(1, 2)) if exact else 1
    return Case("SimpleCNN", arrays, {"architecture": architecture.to_json()}, dtype, magnitude, draw(SEEDS))


ROWS = (Row("SimpleCNN", by_hand, of_torch, networks, lanes=NUMBERS, kind="network"),)
