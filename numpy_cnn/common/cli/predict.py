"""`predict`: which digit is on a picture of the user's own."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import tyro

from numpy_cnn.common.cli.loading import load_network
from numpy_cnn.common.data.fit import average_pixels
from numpy_cnn.common.spec.backend import Array
from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.training.checkpoint import load_checkpoint

if TYPE_CHECKING:
    from numpy_cnn.common.cli.program import Program

# Below this the second-best digit is too close for the first to be relied on.
SURE = 0.8


@dataclass(frozen=True)
class Predict:
    """Read the digit on a PNG or JPEG of your own."""

    checkpoint: Annotated[Path, tyro.conf.Positional]
    """A best.safetensors or last.safetensors of either backend."""
    images: Annotated[tuple[Path, ...], tyro.conf.Positional]
    """Pictures of one digit each, dark on light or light on dark."""
    show_input: Path | None = None
    """PNG for what the network saw: each picture cropped, centred and scaled."""

    def run(self, program: "Program") -> int:
        """Print the digit and the probabilities for each picture; the exit code."""
        from numpy_cnn.common.photo.image import read_digit

        if not self.images:
            raise UserError("predict: name at least one picture, as in: predict CKPT digit.png")
        checkpoint = load_checkpoint(self.checkpoint)
        read = [read_digit(path, checkpoint.data_size, checkpoint.pixel) for path in self.images]
        inputs = average_pixels(np.concatenate(read), checkpoint.architecture.image_size)
        if self.show_input is not None:
            _save_inputs(checkpoint.pixel.fraction(inputs), self.show_input)
        network = load_network(checkpoint, program)
        scores = network.logits(inputs)
        squared = checkpoint.architecture.loss == "mse"
        shares = _shares(scores) if squared else network.probabilities(scores)
        for path, probabilities in zip(self.images, shares, strict=True):
            best = int(probabilities.argmax())
            print(f"{path}: {best}")
            print("  " + "  ".join(f"{digit}: {p:6.2%}" for digit, p in enumerate(probabilities)))
            if probabilities[best] < SURE:
                second = int(np.argsort(probabilities)[-2])
                print(f"  unsure: it may be a {second} as well; --show-input FILE shows what the network saw")
        return 0


def _shares(scores: Array) -> Array:
    """Scores (N, classes) of a network trained on squared errors, which aim at 0 and 1, as probabilities."""
    positive = scores.clip(1e-6)
    shares: Array = positive / positive.sum(axis=1, keepdims=True)
    return shares


def _save_inputs(pixels: "np.ndarray[tuple[int, ...], np.dtype[np.float32]]", path: Path) -> None:
    """The inputs (N, 1, H, W), 0 to 1, side by side, each pixel a square of 8x8 and a margin between them."""
    from PIL import Image

    margin = 1
    tiles = np.pad(pixels[:, 0].clip(0, 1), ((0, 0), (margin, margin), (margin, margin)), constant_values=0.5)
    strip = np.concatenate(list(tiles), axis=1).repeat(8, axis=0).repeat(8, axis=1)
    try:
        Image.fromarray((strip * 255).round().astype(np.uint8)).save(path)
    except (ValueError, OSError) as error:
        raise UserError(f"--show-input {path}: cannot be written ({error})") from error
