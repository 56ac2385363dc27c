"""The settings of a training run: the flags of the command line, which checkpoints store."""

import math
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from numpy_cnn.common.spec.architecture import Activation, Architecture, Preset, preset
from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.spec.typed import build

ADDED = ("patience",)  # fields that checkpoints of older versions do not have
LARGEST = 1e30  # for step sizes and the like: not far above, float32 overflows


@dataclass(frozen=True)
class ArchitectureConfig:
    """Which network. A size that is omitted is that of the preset named by --arch."""

    arch: Preset = "hidden"
    """simple: conv, ReLU, pool, dense. hidden: a dense layer of 128 more. tiny: 4x4 pixels, two classes,
    squared error. edge: one fixed edge kernel, two classes. lenet5, vgg (with batch norm), resnet (skip
    connections): deeper networks with layers of their own."""
    image_size: tuple[int, int] | None = None
    """Height and width in pixels that images are averaged down to; the data's own if omitted."""
    channels: int | None = None
    """Channels of the images; those of digits and mnist have 1."""
    filters: int | None = None
    """Filters of the convolution."""
    kernel_size: int | None = None
    """Height and width of a filter."""
    stride: int | None = None
    """Pixels that a filter moves by."""
    padding: int | None = None
    """Zeros added on each side of the image."""
    activation: Activation | None = None
    """What follows the convolution and the dense layer before the last; relu if omitted."""
    hidden: int | None = None
    """Width of the dense layer before the last; 0 for none."""
    batch_norm: bool = False
    """Batch normalization between the convolution and the activation."""
    classes: int | None = None
    """Number of outputs; images of digits beyond them are omitted."""

    def architecture(self, data_size: tuple[int, int]) -> Architecture:
        """The sizes, for images of `data_size`.

        Raises:
            UserError: they do not fit together.
        """
        own_size = None if self.arch == "tiny" else data_size
        sizes = {
            "image_size": self.image_size or own_size,
            "in_channels": self.channels,
            "filters": self.filters,
            "kernel_size": self.kernel_size,
            "stride": self.stride,
            "padding": self.padding,
            "activation": self.activation,
            "hidden": self.hidden,
            "batch_norm": self.batch_norm or None,
            "classes": self.classes,
        }
        return preset(self.arch, **sizes)


@dataclass(frozen=True)
class OptimizerConfig:
    """The optimizer and its settings; names and formulas are torch.optim's."""

    optimizer: Literal["adam", "sgd"] = "adam"
    """Adam, or stochastic gradient descent."""
    lr: float | None = None
    """Step size; 0.002 for adam and 0.1 for sgd if omitted."""
    schedule: Literal["cosine", "constant"] = "cosine"
    """cosine: the step size falls to 0 over --epochs, along half a cosine. constant: it does not change."""
    momentum: float = 0.0
    """Momentum of sgd."""
    dampening: float = 0.0
    """Dampening of sgd's momentum."""
    nesterov: bool = False
    """Nesterov's form of sgd's momentum."""
    weight_decay: float = 0.0
    """Weight of the squared norm of the parameters, halved, in the loss."""

    def __post_init__(self) -> None:
        for name in ("lr", "momentum", "dampening", "weight_decay"):
            value = getattr(self, name)
            least = -LARGEST if name == "dampening" else 0
            if value is not None and not least <= value <= LARGEST:
                raise UserError(
                    f"--{name.replace('_', '-')} must be between {least:g} and {LARGEST:g}, got {value}"
                )
        if self.optimizer == "adam" and (self.momentum or self.dampening or self.nesterov):
            raise UserError("--momentum, --dampening and --nesterov belong to --optimizer sgd; adam has its own")
        if self.nesterov and (self.momentum <= 0 or self.dampening != 0):
            raise UserError(
                f"--nesterov needs --momentum above 0 and --dampening 0, got {self.momentum} and {self.dampening}"
            )

    def settings(self) -> dict[str, Any]:
        """The keyword arguments of the optimizer chosen."""
        names = ["weight_decay"]
        if self.optimizer == "sgd":
            names += ["momentum", "dampening", "nesterov"]
        return {"lr": self.step_size(0.0)} | {name: getattr(self, name) for name in names}

    def step_size(self, progress: float) -> float:
        """The step size after the fraction `progress` of all steps, from 0 to 1.

        Source: I. Loshchilov and F. Hutter, SGDR: stochastic gradient descent with warm restarts (2017),
        without the restarts.
        """
        first = {"adam": 0.002, "sgd": 0.1}[self.optimizer] if self.lr is None else self.lr
        return first if self.schedule == "constant" else first * (1 + math.cos(math.pi * progress)) / 2


@dataclass(frozen=True)
class DataConfig:
    """Which images."""

    data: Literal["digits", "mnist"] = "digits"
    """digits: 1,797 images of 8x8, part of this package. mnist: 70,000 of 28x28, from --data-dir."""
    data_dir: Path = Path("data")
    """Folder of MNIST's four files (or of MNIST/raw with them)."""
    download: bool = False
    """Fetch MNIST into --data-dir first, with torchvision."""


@dataclass(frozen=True)
class TrainConfig:
    """All settings that determine the result of a training run."""

    dataset: DataConfig = field(default_factory=DataConfig)
    network: ArchitectureConfig = field(default_factory=ArchitectureConfig)
    optimization: OptimizerConfig = field(default_factory=OptimizerConfig)
    epochs: int = 10
    """Passes over the training images."""
    batch_size: int = 32
    """Images in one step."""
    seed: int = 0
    """Determines the initial parameters, the order of the images and the validation split."""
    validation: float = 0.1
    """Fraction of the training images held out to choose the best epoch; 0 for none."""
    patience: int | None = None
    """Stop after this many epochs in a row without a better one on the validation split; never if omitted."""
    limit: int | None = None
    """Train on this many images only, the first ones; on all of them if omitted."""

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size"):
            if getattr(self, name) < 1:
                raise UserError(f"--{name.replace('_', '-')} must be at least 1, got {getattr(self, name)}")
        if self.seed < 0:
            raise UserError(f"--seed must not be negative, got {self.seed}")
        if not 0 <= self.validation < 1:
            raise UserError(f"--validation must be in [0, 1), got {self.validation}")
        if self.patience is not None and self.patience < 1:
            raise UserError(f"--patience must be at least 1, got {self.patience}")
        if self.patience is not None and not self.validation:
            raise UserError("--patience needs a validation split, and --validation is 0")

    def to_json(self) -> dict[str, Any]:
        """Plain values, in the groups of the flags."""
        values = {field.name: asdict(self)[field.name] for field in fields(TrainConfig)}
        values["dataset"]["data_dir"] = str(self.dataset.data_dir)
        del values["dataset"]["download"]
        return values

    @classmethod
    def from_json(cls, values: Any) -> "TrainConfig":
        """The inverse of `to_json`.

        Raises:
            UserError: a value is missing, unknown, or of another type.
        """
        for known in fields(TrainConfig):
            if isinstance(values, dict) and known.name not in values and known.name not in ADDED:
                raise UserError(f"damaged: config.{known.name}: missing")
        try:
            return build(TrainConfig, values, "config")
        except UserError as error:
            raise UserError(f"damaged: {error}") from error
