"""Layers by their sizes alone: the shape of each one's output, and of its parameters and buffers.

Shapes are those of one sample, without the batch axis: (C, H, W), or (features,) after flattening.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from numpy_cnn.common.spec.errors import UserError

Shape: TypeAlias = tuple[int, ...]
BUFFERS = ("running_mean", "running_var")  # batch norm's: stored with the parameters, never trained


class Layer(Protocol):
    """One layer of a description."""

    @property
    def name(self) -> str:
        """Torch's name of the module."""

    def output(self, shape: Shape) -> Shape:
        """The shape of the output for an input of that shape.

        Raises:
            UserError: the layer does not fit the shape; the message contains the sizes.
        """

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        """{torch's name within the layer: shape} of its parameters and buffers, in torch's order."""


@dataclass(frozen=True)
class Conv2d:
    """A convolution with `filters` kernels."""

    name: str
    filters: int
    kernel_size: int
    stride: int = 1
    padding: int | tuple[int, int] = 0
    bias: bool = True

    def output(self, shape: Shape) -> Shape:
        pads = (self.padding, self.padding) if isinstance(self.padding, int) else self.padding
        sides = (
            _slide(self.name, s, self.kernel_size, self.stride, p) for s, p in zip(shape[1:], pads, strict=True)
        )
        return self.filters, *sides

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        weight = {"weight": (self.filters, shape[0], self.kernel_size, self.kernel_size)}
        return {**weight, "bias": (self.filters,)} if self.bias else {**weight}


@dataclass(frozen=True)
class Pool2d:
    """Max or average pooling over windows that do not overlap."""

    name: str
    kernel_size: int

    def output(self, shape: Shape) -> Shape:
        return shape[0], *(_slide(self.name, side, self.kernel_size, self.kernel_size, 0) for side in shape[1:])

    def parameters(self, shape: Shape) -> dict[str, Shape]:  # noqa: ARG002  # the protocol's signature
        return {}


@dataclass(frozen=True)
class GlobalPool2d:
    """The mean of each channel."""

    name: str

    def output(self, shape: Shape) -> Shape:
        return shape[0], 1, 1

    def parameters(self, shape: Shape) -> dict[str, Shape]:  # noqa: ARG002  # the protocol's signature
        return {}


@dataclass(frozen=True)
class BatchNorm2d:
    """Batch normalization with a scale and a shift per channel."""

    name: str

    def output(self, shape: Shape) -> Shape:
        return shape

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        return dict.fromkeys(("weight", "bias", *BUFFERS), shape[:1])


@dataclass(frozen=True)
class Elementwise:
    """An activation, which keeps the shape."""

    name: str

    def output(self, shape: Shape) -> Shape:
        return shape

    def parameters(self, shape: Shape) -> dict[str, Shape]:  # noqa: ARG002  # the protocol's signature
        return {}


@dataclass(frozen=True)
class Dropout:
    """Dropout of the fraction `p` of the units in training; afterwards the identity."""

    name: str
    p: float

    def output(self, shape: Shape) -> Shape:
        return shape

    def parameters(self, shape: Shape) -> dict[str, Shape]:  # noqa: ARG002  # the protocol's signature
        return {}


@dataclass(frozen=True)
class Flatten:
    """Flatten all axes of a sample into one."""

    name: str

    def output(self, shape: Shape) -> Shape:
        return (math.prod(shape),)

    def parameters(self, shape: Shape) -> dict[str, Shape]:  # noqa: ARG002  # the protocol's signature
        return {}


@dataclass(frozen=True)
class Linear:
    """A dense layer of `width` units."""

    name: str
    width: int

    def output(self, shape: Shape) -> Shape:  # noqa: ARG002  # the protocol's signature
        return (self.width,)

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        return {"weight": (self.width, *shape), "bias": (self.width,)}


@dataclass(frozen=True)
class Residual:
    """Two branches with one input; their outputs are added. A shortcut without layers is the identity."""

    name: str
    residual: tuple[Layer, ...]
    shortcut: tuple[Layer, ...] = ()

    def output(self, shape: Shape) -> Shape:
        ends = {name: _end(branch, shape) for name, branch in self.branches()}
        if ends["residual"] != ends["shortcut"]:
            raise UserError(
                f"architecture: {self.name} adds outputs of the shapes {ends['residual']} and {ends['shortcut']}"
            )
        return ends["residual"]

    def parameters(self, shape: Shape) -> dict[str, Shape]:
        return {
            f"{branch}.{name}": size
            for branch, layers in self.branches()
            for name, size in parameter_shapes(layers, shape).items()
        }

    def branches(self) -> tuple[tuple[str, tuple[Layer, ...]], tuple[str, tuple[Layer, ...]]]:
        """Both branches with torch's names for them."""
        return ("residual", self.residual), ("shortcut", self.shortcut)


def stages(layers: Sequence[Layer], shape: Shape, prefix: str = "") -> Iterator[tuple[str, Shape]]:
    """(name, shape of the output) of each layer; the layers inside a residual block come before the block itself.

    Raises:
        UserError: a layer does not fit its input.
    """
    for layer in layers:
        if isinstance(layer, Residual):
            for branch, inner in layer.branches():
                yield from stages(inner, shape, f"{prefix}{layer.name}.{branch}.")
        shape = layer.output(shape)
        yield f"{prefix}{layer.name}", shape


def parameter_shapes(layers: Sequence[Layer], shape: Shape) -> dict[str, Shape]:
    """{torch's name: shape} of all parameters and buffers, in torch's order."""
    shapes: dict[str, Shape] = {}
    for layer in layers:
        shapes |= {f"{layer.name}.{name}": size for name, size in layer.parameters(shape).items()}
        shape = layer.output(shape)
    return shapes


def _end(layers: Sequence[Layer], shape: Shape) -> Shape:
    for layer in layers:
        shape = layer.output(shape)
    return shape


def _slide(name: str, size: int, kernel: int, stride: int, padding: int) -> int:
    if size + 2 * padding < kernel:
        raise UserError(
            f"architecture: {name} needs at least {kernel} pixels, but has {size + 2 * padding} "
            f"(size {size}, padding {padding} on both sides); use larger images or a smaller window"
        )
    return (size + 2 * padding - kernel) // stride + 1
