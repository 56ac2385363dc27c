"""The input of a walkthrough: the network, its parameters, the picture and the true class."""

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from numpy_cnn.common.data.fit import average_pixels
from numpy_cnn.common.exhibits.walkthrough.kernels import KERNELS
from numpy_cnn.common.exhibits.walkthrough.picture import read_grey
from numpy_cnn.common.exhibits.walkthrough.trace import Array
from numpy_cnn.common.spec.architecture import PRESETS, Architecture
from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.training.checkpoint import load_checkpoint

# Both networks must find the same maxima in flat parts of a picture, where sums differ only by rounding. On a grid
# of 2^-40, sums of pixels times kernels of sixteenths are exact in float64, in any order of summation. Learned
# kernels have more bits; for them a grid of 2^-24 (a float32's last bit) for both pixels and kernels is enough.
PIXEL_BITS, LEARNED_BITS = 40, 24
_MOST_CLASSES = 100  # each one is a bar in the drawing


@dataclass(frozen=True)
class Lesson:
    """The network, the picture and the label of a walkthrough, in float64.

    Args:
        kernel: one of `kernels.KERNELS`, or `learned`.
        pixels: (H, W), 0 for black to 1 for white: what is drawn.
        inputs: (1, 1, H, W): the network's input, which is `pixels` except for a learned network's scale.
        label: the true class; None to use the network's prediction.
    """

    kernel: str
    architecture: Architecture
    parameters: dict[str, Array]
    pixels: Array
    inputs: Array
    label: int | None

    @property
    def simple(self) -> bool:
        """Whether the network has only the layers whose every number the printed text and the picture explain."""
        a = self.architecture
        return a.network == "simple" and a.activation == "relu" and not a.batch_norm


def fixed(path: Path, kernel: str, label: int, classes: int, seed: int) -> Lesson:
    """A fixed kernel and an untrained dense layer with random weights, N(0, 0.01²).

    The weights are those of `np.random.seed(seed)` and `np.random.randn`.

    Raises:
        UserError: the picture cannot be read, or the label is not one of the classes.
    """
    if not 2 <= classes <= _MOST_CLASSES:
        raise UserError(f"--classes must be from 2 to {_MOST_CLASSES}, got {classes}")
    if not 0 <= seed < 2**32:
        raise UserError(f"--seed must be from 0 to {2**32 - 1}, got {seed}")
    _check_label(label, classes, f"; --classes {label + 1} makes room for it" if label < _MOST_CLASSES else "")
    architecture = replace(PRESETS["edge"], classes=classes)
    features = dict(architecture.stages())["flatten"][0]
    parameters = {
        "conv1.weight": KERNELS[kernel][None, None].copy(),
        "fc1.weight": np.random.RandomState(seed).randn(classes, features) * 0.01,
        "fc1.bias": np.zeros(classes),
    }
    pixels = _on_grid(read_grey(path, architecture.image_size), PIXEL_BITS)
    return Lesson(kernel, architecture, parameters, pixels, pixels[None, None], label)


def learned(path: Path, checkpoint_path: Path, label: int | None) -> Lesson:
    """A trained network; the digit in the picture is cropped, centred and scaled as in `predict`.

    Raises:
        UserError: the checkpoint or the picture cannot be read, the network does not end in softmax and
            cross-entropy, or the label is not one of its classes.
    """
    from numpy_cnn.common.photo.image import read_digit

    checkpoint = load_checkpoint(checkpoint_path)
    architecture = checkpoint.architecture.evaluated
    if architecture.loss != "cross_entropy":
        raise UserError(
            f"{checkpoint_path}: trained with a squared error; a walkthrough needs softmax and cross-entropy, "
            "which the other presets of --arch use"
        )
    if architecture.in_channels != 1:
        raise UserError(f"{checkpoint_path}: reads {architecture.in_channels} channels, a walkthrough shows one")
    if label is not None:
        _check_label(label, architecture.classes)
    read = read_digit(path, checkpoint.data_size, checkpoint.pixel).inputs
    inputs = average_pixels(read, architecture.image_size)
    parameters = {name: np.asarray(array, dtype=np.float64) for name, array in checkpoint.parameters.items()}
    for name in ("conv1.weight", "conv1.bias"):
        if name in parameters:
            parameters[name] = _on_grid(parameters[name], LEARNED_BITS)
    return Lesson(
        "learned",
        architecture,
        parameters,
        checkpoint.pixel.fraction(inputs)[0, 0].astype(np.float64).clip(0, 1),
        _on_grid(inputs.astype(np.float64), LEARNED_BITS),
        label,
    )


def _check_label(label: int, classes: int, advice: str = "") -> None:
    if not 0 <= label < classes:
        raise UserError(f"--label {label}: the classes are 0 to {classes - 1}{advice if label > 0 else ''}")


def _on_grid(array: Array, bits: int) -> Array:
    """The array rounded to multiples of 2^-bits."""
    rounded: Array = np.rint(array * 2.0**bits) / 2.0**bits
    return rounded
