"""`predict`: classify the digit in a picture of your own."""

import sys
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import tyro

from numpy_cnn.common.cli.device import DeviceFlag
from numpy_cnn.common.cli.loading import load_network
from numpy_cnn.common.data.fit import average_pixels
from numpy_cnn.common.data.pretrained import PRETRAINED
from numpy_cnn.common.photo.doubt import doubts, with_neighbours
from numpy_cnn.common.spec.backend import Array, Backend
from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.spec.files import replace_file
from numpy_cnn.common.training.checkpoint import Checkpoint, load_checkpoint

if TYPE_CHECKING:
    from numpy_cnn.common.cli.program import Program
    from numpy_cnn.common.photo.image import Reading

# Files of other programs count as checkpoints too, because `load_checkpoint` describes them in its errors.
_WEIGHTS = (".safetensors", ".npz", ".npy", ".pt", ".pth", ".ckpt", ".h5", ".keras", ".onnx", ".bin", ".gguf")


@dataclass(frozen=True)
class Predict(DeviceFlag):
    """Classify the digits in your own pictures (PNG, JPEG, …)."""

    paths: Annotated[
        tuple[Path, ...],
        tyro.conf.Positional,
        tyro.conf.arg(name="", metavar="[CKPT] IMAGE...", help_behavior_hint=""),
    ] = ()
    """CKPT: *.safetensors, or the folder of a run; default: the included network, trained on MNIST.
    IMAGE: a picture with one digit, dark on light or light on dark."""
    show_input: Path | None = None
    """PNG for the network's inputs: each picture cropped, centred and scaled."""

    def run(self, program: "Program") -> int:
        """Print the digit and the probabilities of each picture; return 2 if one cannot be read, else 0."""
        from numpy_cnn.common.photo.image import Reading, read_digit

        named, images = _checkpoint_and_images(self.paths)
        if not images:
            raise UserError("predict: name at least one picture, as in: predict digit.png")
        checkpoint = load_checkpoint(named)
        network = load_network(checkpoint, program)
        readings: dict[Path, Reading] = {}
        for path in images:
            try:
                readings[path] = read_digit(path, checkpoint.data_size, checkpoint.pixel)
            except UserError as error:
                if len(images) == 1:
                    raise
                print(f"{program.name}: error: {error}", file=sys.stderr)
        inputs = [
            average_pixels(reading.inputs, checkpoint.architecture.image_size) for reading in readings.values()
        ]
        if self.show_input is not None and readings:
            _save_inputs(checkpoint.pixel.fraction(np.concatenate(inputs)), self.show_input)
        for (path, reading), one in zip(readings.items(), inputs, strict=True):
            scores = network.logits(with_neighbours(one))
            _print_answer(path, _probabilities(scores, network, checkpoint), reading)
        return 0 if readings.keys() == {*images} else 2


def _checkpoint_and_images(paths: tuple[Path, ...]) -> tuple[Path, tuple[Path, ...]]:
    """The checkpoint (the first argument or the included one) and the pictures."""
    named = bool(paths) and (paths[0].suffix in _WEIGHTS or paths[0].is_dir())
    return (paths[0], paths[1:]) if named else (PRETRAINED, paths)


def _print_answer(path: Path, probabilities: Array, reading: "Reading") -> None:
    print(f"{path}: {int(probabilities[0].argmax())}")
    print("  " + "  ".join(f"{digit}: {p:6.2%}" for digit, p in enumerate(probabilities[0])))
    for reason in doubts(probabilities, reading.notes):
        print(f"  unsure: {reason}")


def _probabilities(scores: Array, network: Backend, checkpoint: Checkpoint) -> Array:
    squared = checkpoint.architecture.loss == "mse"
    return _shares(scores) if squared else network.probabilities(scores)


def _shares(scores: Array) -> Array:
    """Probabilities from scores (N, classes) of a network trained with a squared error on targets 0 and 1."""
    positive = scores.clip(1e-6)
    shares: Array = positive / positive.sum(axis=1, keepdims=True)
    return shares


def _save_inputs(pixels: "np.ndarray[tuple[int, ...], np.dtype[np.float32]]", path: Path) -> None:
    """Write the inputs (N, 1, H, W), 0 to 1, side by side with a margin, each pixel enlarged to 8x8."""
    from PIL import Image

    margin = 1
    tiles = np.pad(pixels[:, 0].clip(0, 1), ((0, 0), (margin, margin), (margin, margin)), constant_values=0.5)
    strip = np.concatenate(list(tiles), axis=1).repeat(8, axis=0).repeat(8, axis=1)
    kind = Image.registered_extensions().get(path.suffix.lower())
    if kind is None:
        raise UserError(f"--show-input {path}: cannot be written (unknown file extension: {path.suffix})")
    content = BytesIO()
    try:
        Image.fromarray((strip * 255).round().astype(np.uint8)).save(content, kind)
        replace_file(path, content.getvalue())
    except (ValueError, OSError) as error:  # Pillow's, about formats that it only reads
        raise UserError(f"--show-input {path}: cannot be written ({error})") from error
