"""The settings of a training run: the flags of the command line, which checkpoints store."""

import math
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from numpy_cnn.common.spec import schedules
from numpy_cnn.common.spec.architecture import Activation, Architecture, Preset, preset
from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.spec.initializers import Initializer
from numpy_cnn.common.spec.typed import build

ADDED = ("patience", "init", "augmentation")  # fields that checkpoints of older versions do not have
LARGEST = 1e30  # for step sizes and the like: not far above, float32 overflows


@dataclass(frozen=True)
class ArchitectureConfig:
    """The network. Omitted sizes are those of the preset named by --arch."""

    arch: Preset = "hidden"
    """simple: conv, ReLU, pool, dense.
    hidden: with an additional dense layer of 128.
    tiny: 4x4 pixels, two classes, squared error.
    edge: one fixed edge kernel, two classes.
    lenet5, vgg (with batch norm), resnet (with skip connections): deeper networks with fixed layers."""
    image_size: tuple[int, int] | None = None
    """Height and width in pixels to which images are downscaled; those of the data if omitted."""
    channels: int | None = None
    """Channels of the images; digits and mnist have 1."""
    filters: int | None = None
    """Filters of the convolution."""
    kernel_size: int | None = None
    """Height and width of a filter."""
    stride: int | None = None
    """Stride of the filters in pixels."""
    padding: int | None = None
    """Zeros added on each side of the image."""
    activation: Activation | None = None
    """Activation after the convolution and after the dense layer before the last; relu if omitted."""
    hidden: int | None = None
    """Width of the dense layer before the last; 0 for none."""
    batch_norm: bool = False
    """Batch normalization between the convolution and the activation."""
    dropout: float = 0.0
    """Fraction of the last dense layer's inputs that is dropped in each training step."""
    classes: int | None = None
    """Number of outputs; images with larger labels are omitted."""

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
            "dropout": self.dropout or None,
            "classes": self.classes,
        }
        return preset(self.arch, **sizes)


# The options of each optimizer beside its step size, under torch's names.
OPTIONS: dict[str, tuple[str, ...]] = {
    "adam": ("betas", "eps", "weight_decay", "amsgrad"),
    "adamw": ("betas", "eps", "weight_decay", "amsgrad"),
    "sgd": ("momentum", "dampening", "weight_decay", "nesterov"),
    "rmsprop": ("alpha", "eps", "weight_decay", "momentum", "centered"),
    "adagrad": ("lr_decay", "eps", "weight_decay", "initial_accumulator_value"),
}
STEP_SIZES = {"adam": 0.002, "adamw": 0.002, "sgd": 0.1, "rmsprop": 0.001, "adagrad": 0.01}


@dataclass(frozen=True)
class OptimizerConfig:
    """The optimizer and its settings; names and formulas are torch.optim's."""

    optimizer: Literal["adam", "sgd", "adamw", "rmsprop", "adagrad"] = "adam"
    """Adam, stochastic gradient descent, Adam with decoupled weight decay, RMSprop, or Adagrad."""
    lr: float | None = None
    """Step size; if omitted, 0.002 for adam and adamw, 0.1 for sgd, 0.001 for rmsprop and 0.01 for adagrad."""
    schedule: Literal["cosine", "constant", "step", "onecycle"] = "cosine"
    """cosine: the step size decays to 0 over --epochs along a half cosine.
    constant: no change.
    step: multiplied by --gamma every --step-size epochs.
    onecycle: it rises to --lr in 30 % of the steps, then decays."""
    step_size: int | None = None
    """Epochs between two reductions by --schedule step."""
    gamma: float | None = None
    """Factor of --schedule step; 0.1 if omitted."""
    warmup_steps: int = 0
    """Number of initial steps in which the step size rises linearly from a third of the schedule's."""
    clip_norm: float | None = None
    """Scale all gradients down if their total norm exceeds this."""
    clip_value: float | None = None
    """Clip gradients to this absolute value."""
    momentum: float = 0.0
    """Momentum of sgd and rmsprop."""
    dampening: float = 0.0
    """Dampening of sgd's momentum."""
    nesterov: bool = False
    """Use Nesterov momentum for sgd."""
    weight_decay: float | None = None
    """Factor of half the squared norm of the parameters in the loss; 0 if omitted.
    For adamw, the decoupled decay rate; 0.01 if omitted."""
    betas: tuple[float, float] | None = None
    """Decay rates of adam's and adamw's means of the gradient and of its square; 0.9 0.999 if omitted."""
    eps: float | None = None
    """Added to the denominator by all except sgd; if omitted, 1e-8, and 1e-10 for adagrad."""
    amsgrad: bool = False
    """Divide by the largest mean square so far (adam, adamw)."""
    alpha: float | None = None
    """Decay rate of rmsprop's mean square; 0.99 if omitted."""
    centered: bool = False
    """Divide by the standard deviation of the gradient (rmsprop)."""
    lr_decay: float | None = None
    """Decay rate of adagrad's step size; 0 if omitted."""
    initial_accumulator_value: float | None = None
    """Adagrad's sum of squares before the first step; 0 if omitted."""

    def __post_init__(self) -> None:
        for option in fields(OptimizerConfig):
            value, least = getattr(self, option.name), -LARGEST if option.name == "dampening" else 0
            flag = f"--{option.name.replace('_', '-')}"
            if isinstance(value, float) and not least <= value <= LARGEST:
                raise UserError(f"{flag} must be between {least:g} and {LARGEST:g}, got {value}")
            owners = [optimizer for optimizer, options in OPTIONS.items() if option.name in options]
            if owners and value and self.optimizer not in owners:
                raise UserError(f"{flag} belongs to --optimizer {' or '.join(owners)}, not {self.optimizer}")
        if self.nesterov and (self.momentum <= 0 or self.dampening != 0):
            raise UserError(
                f"--nesterov needs --momentum above 0 and --dampening 0, got {self.momentum} and {self.dampening}"
            )
        if self.betas is not None and not all(0 <= beta < 1 for beta in self.betas):
            raise UserError(f"--betas must be in [0, 1), got {self.betas[0]} and {self.betas[1]}")
        if self.warmup_steps < 0:
            raise UserError(f"--warmup-steps must not be negative, got {self.warmup_steps}")
        if self.schedule == "step":
            if self.step_size is None or self.step_size < 1:
                raise UserError(f"--schedule step needs a --step-size of at least 1 epoch, got {self.step_size}")
        elif self.step_size is not None or self.gamma is not None:
            raise UserError(f"--step-size and --gamma belong to --schedule step, not {self.schedule}")

    @property
    def base_lr(self) -> float:
        """The step size that the schedule varies."""
        return STEP_SIZES[self.optimizer] if self.lr is None else self.lr

    def settings(self) -> dict[str, Any]:
        """The keyword arguments of the optimizer chosen."""
        given = {name: getattr(self, name) for name in OPTIONS[self.optimizer]}
        return {"lr": self.base_lr} | {name: value for name, value in given.items() if value is not None}

    def lr_at(self, step: int, steps: int, epoch_steps: int) -> float:
        """The step size of a step.

        Args:
            step: how many steps were taken before.
            steps: in the whole training.
            epoch_steps: in an epoch.
        """
        lr = self.base_lr
        if self.schedule == "cosine":
            lr = schedules.cosine(lr, step / steps, 1.0)
        elif self.schedule == "step":
            assert self.step_size is not None  # checked above
            lr = schedules.step(lr, step // epoch_steps, self.step_size, 0.1 if self.gamma is None else self.gamma)
        elif self.schedule == "onecycle":
            lr = schedules.one_cycle(lr, step, steps)
        return schedules.warm_up(lr, step, self.warmup_steps) if step < self.warmup_steps else lr


@dataclass(frozen=True)
class DataConfig:
    """Which images."""

    data: Literal["digits", "mnist"] = "digits"
    """digits: 1,797 images of 8x8 pixels, included in this package. mnist: 70,000 of 28x28, from --data-dir."""
    data_dir: Path = Path("data")
    """Folder of MNIST: its four files, gzipped too, or in MNIST/raw; CSV, mnist.npz, or folders of pictures."""
    download: bool = False
    """Fetch MNIST into --data-dir first, with torchvision."""


@dataclass(frozen=True)
class AugmentationConfig:
    """Random changes of the training images, different in each epoch; other images are never changed."""

    shift: float = 0.0
    """Move each training image along each axis by a random distance of at most this many pixels."""
    rotate: float = 0.0
    """Rotate each training image about its centre by a random angle of at most this many degrees."""

    def __post_init__(self) -> None:
        if not 0 <= self.shift < math.inf:
            raise UserError(f"--shift must be a number of pixels, at least 0, got {self.shift}")
        if not 0 <= self.rotate <= 180:
            raise UserError(f"--rotate must be between 0 and 180 degrees, got {self.rotate}")

    @property
    def changes_images(self) -> bool:
        """Whether any image is changed."""
        return self.shift > 0 or self.rotate > 0

    def check(self, image_size: tuple[int, int]) -> None:
        """Check the settings against the height and width of the images.

        Raises:
            UserError: an image may be moved out of its frame completely.
        """
        if self.shift >= min(image_size):
            raise UserError(
                f"--shift {self.shift:g} may leave nothing of an image of {image_size[0]}x{image_size[1]} pixels; "
                f"pass less than {min(image_size)}"
            )


@dataclass(frozen=True)
class TrainConfig:
    """All settings that determine the result of a training run."""

    dataset: DataConfig = field(default_factory=DataConfig)
    network: ArchitectureConfig = field(default_factory=ArchitectureConfig)
    optimization: OptimizerConfig = field(default_factory=OptimizerConfig)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    epochs: int = 10
    """Passes over the training images."""
    batch_size: int = 32
    """Images per step."""
    seed: int = 0
    """Determines the initial parameters, the order of the images and the validation split."""
    init: Initializer = "default"
    """How weights are drawn: as torch's layers do (default), or by torch.nn.init's function of that name."""
    validation: float = 0.1
    """Fraction of the training images held out to choose the best epoch; 0 for none."""
    patience: int | None = None
    """Stop after this many epochs without an improvement on the validation split; never if omitted."""
    limit: int | None = None
    """Train only on the first LIMIT images; on all of them if omitted."""

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
