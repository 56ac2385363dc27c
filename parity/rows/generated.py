"""Generated networks: one description of layers, from which both sides build the same network.

A layer is (name, function, options): the function has this name in numpy_cnn.ops and in torch.nn.functional. The
function "residual" has layers in place of options, and adds its input to their output.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  # the name the field uses
from hypothesis import strategies as st

from numpy_cnn import ops
from numpy_cnn.arguments import Pullback
from numpy_cnn.chain import Layer, Residual, chain
from parity.cases.case import ArraySpec, Case, Lane
from parity.cases.op import Array
from parity.cases.primitives import booleans, composite, integers, sampled
from parity.cases.sizes import DTYPES, SEEDS, extent
from parity.rows.row import NUMBERS, Row

Description = tuple[tuple[str, str, Any], ...]
Shape = tuple[int, ...]
Ops = Mapping[str, Callable[..., Any]]

SELECTING = ("relu", "max_pool2d", "leaky_relu", "avg_pool2d", "adaptive_max_pool2d", "interpolate")
SMOOTH = (
    "tanh", "sigmoid", "silu", "gelu", "elu", "softplus", "hardswish", "batch_norm", "instance_norm",
    "adaptive_avg_pool2d",
)  # fmt: skip
CONVOLUTIONS = ("conv2d", "residual", "conv2d", "conv_transpose2d")
MOST_DEEP = 5


def by_hand(x: Array, *parameters: Array, layers: Description) -> tuple[Array, Pullback]:
    """The network as a chain of numpy_cnn's ops."""
    return built(layers)(x, *parameters)


def built(layers: Description, other: Ops | None = None) -> Callable[..., tuple[Array, Pullback]]:
    """The network as an op; `other` maps names of layers to ops that replace numpy_cnn's."""
    names = [*parameter_names(layers)]

    def network(x: Array, *parameters: Array) -> tuple[Array, Pullback]:
        y, network_pullback = chain(as_chain(layers, other or {}), dict(zip(names, parameters, strict=True)), x)

        def pullback(dy: Array) -> tuple[Array, ...]:
            dx, gradients = network_pullback(dy)
            return dx, *(gradients[name] for name in names)

        return y, pullback

    return network


def as_chain(layers: Description, other: Ops, prefix: str = "") -> list[Layer]:
    """The layers in the form of `numpy_cnn.chain`."""
    made: list[Layer] = []
    for name, function, options in layers:
        if function == "residual":
            made.append((name, Residual(as_chain(options, other, f"{prefix}{name}.residual."))))
        else:
            op = batch_norm if function == "batch_norm" else getattr(ops, function)
            made.append((name, partial(other.get(prefix + name, op), **options)))
    return made


def batch_norm(x: Array, weight: Array, bias: Array) -> tuple[Array, Pullback]:
    """Batch normalization by the batch's statistics, without running ones."""
    y, op_pullback = ops.batch_norm(x, None, None, weight, bias, training=True)
    return y, lambda dy: tuple(gradient for gradient in op_pullback(dy) if gradient is not None)


def of_torch(x: torch.Tensor, *parameters: torch.Tensor, layers: Description) -> torch.Tensor:
    """The network built from torch's functions."""
    named = dict(zip(parameter_names(layers), parameters, strict=True))
    y: torch.Tensor = torch_chain(layers, named, x)
    return y


def torch_chain(layers: Description, named: Mapping[str, torch.Tensor], x: torch.Tensor, prefix: str = "") -> Any:
    """Apply the layers; a residual block adds its input."""
    for name, function, options in layers:
        if function == "residual":
            x = torch_chain(options, named, x, f"{prefix}{name}.residual.") + x
            continue
        own = [named[p] for p in (f"{prefix}{name}.weight", f"{prefix}{name}.bias") if p in named]
        if function == "batch_norm":
            weight, bias = own
            x = F.batch_norm(x, None, None, weight, bias, training=True)
        else:
            x = (getattr(F, function, None) or getattr(torch, function))(x, *own, **options)
    return x


def parameter_names(layers: Description, prefix: str = "") -> list[str]:
    """The names of each layer's weight and bias, in the order of the case's arrays."""
    names = []
    for name, function, options in layers:
        if function == "residual":
            names += parameter_names(options, f"{prefix}{name}.residual.")
        elif function in ("conv2d", "conv_transpose2d", "linear", "batch_norm"):
            names += [f"{prefix}{name}.weight", f"{prefix}{name}.bias"]
    return names


@composite
def networks(draw: st.DrawFn, lane: Lane) -> Case:
    """Two to five layers, including residual blocks, and a dense one; single layers have their own rows.

    For exact results: float64, functions that select, add and multiply, and powers of two as divisors.
    A convolution multiplies by at most 2·27 + 2 < 2^6, a dense layer by less than 2^11, and pooling adds two
    binary digits: with two convolutions in a block, no more than three layers with weights keep every sum below
    2^53.
    """
    exact = lane != "bound"
    batch = draw(integers(2, 3))
    shape: Shape = (draw(extent(3)), draw(integers(1, 6)), draw(integers(1, 6)))
    images, layers, arrays = shape, [], []
    for place in range(draw(integers(2, 3 if exact else MOST_DEEP))):
        between: tuple[str, ...] = SELECTING if exact else SELECTING + SMOOTH
        if math.prod(shape[1:]) == 1:  # which torch's instance_norm rejects
            between = tuple(function for function in between if function != "instance_norm")
        function = draw(sampled(CONVOLUTIONS if place % 2 == 0 else between))
        layer, shapes, shape = _layer(draw, f"{function}{place}", function, shape, exact)
        layers.append(layer)
        arrays += shapes
    if draw(booleans):
        layers.append(("flatten", "flatten", {"start_dim": 1}))
        units, features = draw(extent(3)), math.prod(shape)
        layers.append(("linear", "linear", {}))
        arrays += [ArraySpec("linear.weight", (units, features)), ArraySpec("linear.bias", (units,))]
    dtype = "float64" if exact else draw(DTYPES)
    specs = (ArraySpec("input", (batch, *images)), *arrays)
    return Case(
        "network", specs, {"layers": tuple(layers)}, dtype, draw(integers(1, 2)) if exact else 1, draw(SEEDS)
    )


def _layer(
    draw: st.DrawFn, name: str, function: str, shape: Shape, exact: bool
) -> tuple[tuple[str, str, Any], list[ArraySpec], Shape]:
    """A layer that fits the shape, its arrays, and the shape of its output."""
    channels, height, width = shape
    if function == "residual":
        inner, arrays = [], []
        for number in range(1 if exact else draw(integers(1, 2))):
            inner.append((f"conv{number}", "conv2d", {"padding": 1}))
            arrays += _weights(f"{name}.residual.conv{number}", (channels, channels, 3, 3))
            inner.append((f"relu{number}", "relu", {}))
        return (name, function, tuple(inner)), arrays, shape
    if function == "conv2d":
        padding, stride = draw(integers(0, 1)), draw(extent(2))
        kernel = min(draw(extent(3)), height + 2 * padding, width + 2 * padding)
        filters = draw(extent(3))
        sides = ((side + 2 * padding - kernel) // stride + 1 for side in (height, width))
        options = {"stride": stride, "padding": padding}
        return (name, function, options), _weights(name, (filters, channels, kernel, kernel)), (filters, *sides)
    if function == "conv_transpose2d":
        kernel, stride, filters = draw(extent(2)), draw(extent(2)), draw(extent(2))
        weights = _weights(name, (channels, filters, kernel, kernel), filters)
        larger = ((side - 1) * stride + kernel for side in (height, width))
        return (name, function, {"stride": stride}), weights, (filters, *larger)
    if function == "interpolate":
        return (name, function, {"scale_factor": 2}), [], (channels, 2 * height, 2 * width)
    if function.startswith("adaptive"):
        size = [draw(integers(1, height)), draw(integers(1, width))]  # as JSON has it
        return (name, function, {"output_size": size}), [], (channels, *size)
    if function in ("max_pool2d", "avg_pool2d"):
        kernel = 2 if min(height, width) > 1 else 1
        return (name, function, {"kernel_size": kernel}), [], (channels, height // kernel, width // kernel)
    if function == "batch_norm":
        return (name, function, {}), _weights(name, (channels,)), shape
    return (name, function, {"negative_slope": 0.5} if function == "leaky_relu" else {}), [], shape


def _weights(name: str, shape: Shape, biases: int | None = None) -> list[ArraySpec]:
    return [ArraySpec(f"{name}.weight", shape), ArraySpec(f"{name}.bias", (biases or shape[0],))]


def prefixes(case: Case) -> Iterator[tuple[str, Case]]:
    """The networks of the case's first layers, shortest first, each with the name of its last layer.

    A residual block comes first without layers (x + x, so that the sum itself is compared), then with one more
    layer each time.
    """
    arrays = {spec.name: spec for spec in case.arrays}
    for name, layers in _beginnings(case.options["layers"]):
        specs = (arrays["input"], *(arrays[parameter] for parameter in parameter_names(layers)))
        yield name, replace(case, arrays=specs, options={"layers": layers}, values=None)


def _beginnings(layers: Description) -> Iterator[tuple[str, Description]]:
    for place, (name, function, options) in enumerate(layers):
        before = layers[:place]
        if function == "residual":
            yield name, (*before, (name, function, ()))
            for inner, block in _beginnings(options):
                yield f"{name}.residual.{inner}", (*before, (name, function, block))
        else:
            yield name, layers[: place + 1]


ROWS = (Row("network", by_hand, of_torch, networks, lanes=NUMBERS, kind="network", prefixes=prefixes),)
