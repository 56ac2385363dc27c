"""The sizes that both backends build a SimpleCNN from, checked before any array exists."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Literal, TypeVar, get_args

import numpy.typing as npt

from numpy_cnn.common.spec.errors import UserError

Preset = Literal["simple", "hidden", "tiny", "edge"]
# Torch's names, each with its default options.
Activation = Literal["relu", "leaky_relu", "elu", "silu", "gelu", "tanh", "sigmoid"]
ParameterMap = TypeVar("ParameterMap", bound=Mapping[str, npt.NDArray[Any]])


@dataclass(frozen=True)
class Architecture:
    """The sizes of a SimpleCNN: conv → activation → max-pool → flatten → (dense → activation →) dense.

    Lengths are in pixels. `hidden` is the width of the dense layer before the last, None for no such layer.
    With `fixed_edges` the convolution is one vertical-edge kernel without a bias, which is never trained.
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

    def __post_init__(self) -> None:
        self._check_each_size()
        self.stages()

    @property
    def trained(self) -> list[str]:
        """The names of the parameters that an optimizer may change."""
        return [name for name in self.parameter_shapes() if not (self.fixed_edges and name == "conv1.weight")]

    def stages(self) -> list[tuple[str, tuple[int, ...]]]:
        """The shape (of one sample) of each layer's output, by the layer's name.

        Raises:
            UserError: a window is larger than what it slides over; the message carries the sizes.
        """
        height, width = self.image_size
        conv = self.filters, *(self._slide("the convolution", s, *self._conv) for s in (height, width))
        pool = self.filters, *(self._slide("the pooling", s, self.pool, self.pool, 0) for s in conv[1:])
        dense = ["fc1", f"{self.activation}2", "fc2"] if self.hidden else ["fc1"]
        widths = [self.hidden, self.hidden, self.classes] if self.hidden else [self.classes]
        return [
            ("input", (self.in_channels, height, width)),
            ("conv1", conv),
            (f"{self.activation}1", conv),
            ("pool1", pool),
            ("flatten", (pool[0] * pool[1] * pool[2],)),
            *((name, (width,)) for name, width in zip(dense, widths, strict=True) if width),
        ]

    def parameter_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shape of every parameter under torch's name for it: weights (O, I, kh, kw) and (out, in)."""
        size = dict(self.stages())
        shapes: dict[str, tuple[int, ...]] = {
            "conv1.weight": (self.filters, self.in_channels, self.kernel_size, self.kernel_size)
        }
        if not self.fixed_edges:
            shapes["conv1.bias"] = (self.filters,)
        for name, before in [("fc1", "flatten"), ("fc2", "fc1")][: 2 if self.hidden else 1]:
            shapes |= {f"{name}.weight": (*size[name], *size[before]), f"{name}.bias": size[name]}
        return shapes

    def check(self, parameters: ParameterMap) -> ParameterMap:
        """Return the parameters if they are this architecture's.

        Raises:
            UserError: a name is missing or unknown, or a shape differs; the message has the first of them.
        """
        expected = self.parameter_shapes()
        for name in [*expected, *parameters]:
            got = tuple(parameters[name].shape) if name in parameters else "none"
            if expected.get(name, "none") != got:
                want = expected.get(name, "none")
                raise UserError(f"parameters of another architecture: {name} has the shape {got}, expected {want}")
        return parameters

    def to_json(self) -> dict[str, Any]:
        """Plain values, for metadata and reports."""
        return asdict(self) | {"image_size": list(self.image_size)}

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Architecture":
        """The inverse of `to_json`."""
        return cls(**{**values, "image_size": tuple(values["image_size"])})

    @property
    def _conv(self) -> tuple[int, int, int]:
        return self.kernel_size, self.stride, self.padding

    def _check_each_size(self) -> None:
        for name, value in [*asdict(self).items(), *zip(("height", "width"), self.image_size, strict=True)]:
            if name in ("image_size", "loss", "fixed_edges", "activation") or (name == "hidden" and value is None):
                continue
            least = 0 if name == "padding" else 1
            if type(value) is not int or value < least:
                raise UserError(f"architecture: {name} must be an integer of at least {least}, got {value!r}")
        if self.activation not in get_args(Activation):
            known = ", ".join(get_args(Activation))
            raise UserError(f"architecture: activation must be one of {known}, got {self.activation!r}")
        if self.fixed_edges and (self.filters, self.in_channels, self.kernel_size) != (1, 1, 3):
            raise UserError(
                "architecture: the fixed edge kernel is one 3x3 filter over one channel, got "
                f"{self.filters} filters of {self.kernel_size}x{self.kernel_size} over {self.in_channels} channels"
            )

    def _slide(self, what: str, size: int, kernel: int, stride: int, padding: int) -> int:
        if size + 2 * padding < kernel:
            raise UserError(
                f"architecture: {what} needs at least {kernel} pixels, but has {size + 2 * padding} "
                f"(size {size}, padding {padding} on both sides); take larger images or a smaller window"
            )
        return (size + 2 * padding - kernel) // stride + 1


PRESETS: dict[Preset, Architecture] = {
    "simple": Architecture(hidden=None),
    "hidden": Architecture(),
    "tiny": Architecture(
        image_size=(4, 4), filters=2, padding=1, hidden=None, classes=2, loss="mse"
    ),
    "edge": Architecture(filters=1, hidden=None, classes=2, fixed_edges=True),
}  # fmt: skip


def preset(name: Preset, **changes: Any) -> Architecture:
    """The architecture of that name, with the changes that are not None; `hidden=0` leaves that layer out."""
    changes = {key: value for key, value in changes.items() if value is not None}
    if changes.get("hidden") == 0:
        changes["hidden"] = None
    return replace(PRESETS[name], **changes)
