"""The sizes that both backends build a network from, checked before any array exists."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, TypeVar, get_args

import numpy as np
import numpy.typing as npt

from numpy_cnn.common.spec import layers as sized
from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.spec.networks import DEEPER

Preset = Literal["simple", "hidden", "tiny", "edge", "lenet5", "vgg", "resnet"]
# Torch's names, each with its default options.
Activation = Literal["relu", "leaky_relu", "elu", "silu", "gelu", "tanh", "sigmoid"]
ParameterMap = TypeVar("ParameterMap", bound=Mapping[str, npt.NDArray[Any]])


@dataclass(frozen=True)
class Architecture:
    """The sizes of a network: conv → activation → max-pool → flatten → (dense → activation →) dense.

    Lengths are in pixels. `hidden` is the width of the dense layer before the last, None for no such layer. With
    `fixed_edges` the convolution is one vertical-edge kernel without a bias, which is never trained. With
    `batch_norm` the convolution's output is normalized before the activation. In training the
    fraction `dropout` of the last dense layer's inputs is dropped.

    A deeper `network` has its own layers: `image_size`, `in_channels`, `classes` and `loss` are then the only
    sizes that may differ from the defaults.
    """

    image_size: tuple[int, int] = (28, 28)
    in_channels: int = 1
    filters: int = 8
    kernel_size: int = 3
    stride: int = 1
    padding: int = 0
    pool: int = 2
    hidden: int | None = 128
    classes: int = 10
    loss: Literal["cross_entropy", "mse"] = "cross_entropy"
    fixed_edges: bool = False
    activation: Activation = "relu"
    batch_norm: bool = False
    dropout: float = 0.0
    network: Literal["simple", "lenet5", "vgg", "resnet"] = "simple"

    def __post_init__(self) -> None:
        self._check_each_size()
        self.stages()

    @property
    def trained(self) -> list[str]:
        """The names of the parameters that an optimizer may change."""
        fixed = {"conv1.weight"} if self.fixed_edges else {}
        return [name for name in self.parameter_shapes() if name not in fixed and not is_buffer(name)]

    @property
    def conv_bias(self) -> bool:
        """Whether the convolution has a bias: batch norm would cancel it by subtracting the mean."""
        return not self.fixed_edges and not self.batch_norm

    @property
    def couples_images(self) -> bool:
        """Whether the score of an image depends on the other images of its batch in training (batch norm)."""
        return any(is_buffer(name) for name in self.parameter_shapes())

    @property
    def evaluated(self) -> "Architecture":
        """The same network after training, when dropout is the identity."""
        return replace(self, dropout=0.0)

    def layers(self) -> tuple[sized.Layer, ...]:
        """The layers by their sizes."""
        if self.network != "simple":
            return DEEPER[self.network](self.image_size, self.classes)
        conv = sized.Conv2d("conv1", self.filters, self.kernel_size, self.stride, self.padding, self.conv_bias)
        hidden = (
            (sized.Linear("fc1", self.hidden), sized.Elementwise(f"{self.activation}2")) if self.hidden else ()
        )
        return (
            conv,
            *([sized.BatchNorm2d("bn1")] if self.batch_norm else []),
            sized.Elementwise(f"{self.activation}1"),
            sized.Pool2d("pool1", self.pool),
            sized.Flatten("flatten"),
            *hidden,
            *([sized.Dropout("dropout1", self.dropout)] if self.dropout else []),
            sized.Linear("fc2" if self.hidden else "fc1", self.classes),
        )

    def stages(self) -> list[tuple[str, sized.Shape]]:
        """The shape (of one sample) of each layer's output, by the layer's name.

        Raises:
            UserError: a window is larger than its input; the message contains the sizes.
        """
        shape = (self.in_channels, *self.image_size)
        return [("input", shape), *sized.stages(self.layers(), shape)]

    def parameter_shapes(self) -> dict[str, sized.Shape]:
        """The shape of every parameter and buffer under torch's name for it."""
        return sized.parameter_shapes(self.layers(), (self.in_channels, *self.image_size))

    def masks(self, images: int, generator: np.random.Generator) -> dict[str, npt.NDArray[np.bool_]]:
        """{name of a dropout layer: mask (images, *shape of its input)} for one step; True for what is kept."""
        shapes = dict(self.stages())
        return {
            layer.name: generator.random((images, *shapes[layer.name])) >= layer.p
            for layer in self.layers()
            if isinstance(layer, sized.Dropout)
        }

    def check(self, parameters: ParameterMap) -> ParameterMap:
        """Return the parameters if they match this architecture.

        Raises:
            UserError: a name is missing or unknown, or a shape differs; the message contains the first one.
        """
        expected = self.parameter_shapes()
        for name in [*expected, *parameters]:
            want, got = expected.get(name), tuple(parameters[name].shape) if name in parameters else None
            if got is None:
                there = f"there are {', '.join([*parameters][:5]) or 'none'}{', …' if len(parameters) > 5 else ''}"
                difference = f"no {name} of shape {want}; {there}"
            elif want is None:
                difference = f"{name} of shape {got} is unknown"
            else:
                difference = f"{name} has the shape {got}, expected {want}"
            if got != want:
                raise UserError(f"parameters of another architecture: {difference}")
        return parameters

    def to_json(self) -> dict[str, Any]:
        """Plain values, for metadata and reports."""
        return vars(self) | {"image_size": list(self.image_size)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Architecture":
        """The inverse of `to_json`."""
        return cls(**{**values, "image_size": tuple(values["image_size"])})

    def _check_each_size(self) -> None:
        for name, value in [*vars(self).items(), *zip(("height", "width"), self.image_size, strict=True)]:
            if name in ("image_size", "loss", "fixed_edges", "activation", "batch_norm", "dropout", "network") or (
                name == "hidden" and value is None
            ):
                continue
            least = 0 if name == "padding" else 1
            if type(value) is not int or value < least:
                raise UserError(f"architecture: {name} must be an integer of at least {least}, got {value!r}")
        own = {"image_size", "in_channels", "classes", "loss", "network"}
        defaults = {field.name: field.default for field in fields(self)}
        for name, value in vars(self).items():
            if self.network != "simple" and name not in own and value != defaults[name]:
                raise UserError(f"architecture: {self.network} has its own layers, got {name} {value!r}")
        if type(self.dropout) not in (int, float) or not 0 <= self.dropout < 1:
            raise UserError(f"architecture: dropout must be in [0, 1), got {self.dropout!r}")
        if self.activation not in get_args(Activation):
            known = ", ".join(get_args(Activation))
            raise UserError(f"architecture: activation must be one of {known}, got {self.activation!r}")
        if self.fixed_edges and (self.filters, self.in_channels, self.kernel_size) != (1, 1, 3):
            raise UserError(
                "architecture: the fixed edge kernel is one 3x3 filter over one channel, got "
                f"{self.filters} filters of {self.kernel_size}x{self.kernel_size} over {self.in_channels} channels"
            )


def is_buffer(name: str) -> bool:
    """Whether the array of that name is a buffer: stored with the parameters, and never trained."""
    return name.endswith(sized.BUFFERS)


PRESETS: dict[Preset, Architecture] = {
    "simple": Architecture(hidden=None),
    "hidden": Architecture(),
    "tiny": Architecture(
        image_size=(4, 4), filters=2, padding=1, hidden=None, classes=2, loss="mse"
    ),
    "edge": Architecture(filters=1, hidden=None, classes=2, fixed_edges=True),
    "lenet5": Architecture(network="lenet5"),
    "vgg": Architecture(network="vgg"),
    "resnet": Architecture(network="resnet"),
}  # fmt: skip


def preset(name: Preset, **changes: Any) -> Architecture:
    """The architecture of that name with all changes that are not None; `hidden=0` omits that layer."""
    changes = {key: value for key, value in changes.items() if value is not None}
    if changes.get("hidden") == 0:
        changes["hidden"] = None
    return replace(PRESETS[name], **changes)
