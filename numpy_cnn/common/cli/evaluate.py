"""`evaluate`: evaluate a checkpoint on the test images."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import tyro

from numpy_cnn.common.cli.device import DeviceFlag
from numpy_cnn.common.cli.loading import load_data, load_network
from numpy_cnn.common.cli.report import STDOUT, check_writable, write_json
from numpy_cnn.common.data import IMAGE_SIZES, fit
from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.training.checkpoint import load_checkpoint
from numpy_cnn.common.training.confusion import class_accuracy, confusion_matrix, draw_confusion
from numpy_cnn.common.training.loop import evaluate

if TYPE_CHECKING:
    from numpy_cnn.common.cli.program import Program


@dataclass(frozen=True)
class Evaluate(DeviceFlag):
    """Evaluate a checkpoint of either backend on the test images."""

    checkpoint: Annotated[Path, tyro.conf.Positional]
    """A best.safetensors or last.safetensors, or the folder of a run."""
    data: Literal["digits", "mnist"] | None = None
    """The data set; the one used in training if omitted."""
    data_dir: Path | None = None
    """Folder of MNIST's files; the one used in training if omitted."""
    confusion: Path | None = None
    """PNG for the confusion matrix; also print the accuracy of each class."""
    json: Path | None = None
    """File for the result as JSON; - for standard output, without other output."""

    def run(self, program: "Program") -> int:
        """Print the accuracy and the loss; return the exit code."""
        check_writable(self.json)
        checkpoint = load_checkpoint(self.checkpoint)
        trained = checkpoint.config.dataset
        name = self.data or trained.data
        if name != trained.data and IMAGE_SIZES[name] != checkpoint.data_size:
            height, width = checkpoint.data_size
            raise UserError(
                f"{self.checkpoint} reads images of {height}x{width} ({trained.data}), not those of {name}"
            )
        dataset = load_data(replace(trained, data=name, data_dir=self.data_dir or trained.data_dir), program)
        dataset, note = fit(dataset, checkpoint.architecture.image_size, checkpoint.architecture.classes)
        loss, accuracy, answers = evaluate(load_network(checkpoint, program), dataset.test)
        matrix = confusion_matrix(dataset.test.labels, answers, checkpoint.architecture.classes)
        if self.confusion is not None:
            draw_confusion(matrix, self.confusion)
        right, images = int((answers == dataset.test.labels).sum()), len(dataset.test)
        if self.json is not None:
            report = {
                "schema": 1,
                "checkpoint": str(self.checkpoint),
                "backend": program.name,
                "correct": right,
                "images": images,
                "accuracy": accuracy,
                "loss": loss,
                "class_accuracy": class_accuracy(matrix).tolist(),
                "confusion": matrix.tolist(),
            }
            write_json(report, self.json)
        if self.json == STDOUT:
            return 0
        if note:
            print(note)
        print(f"{self.checkpoint}: accuracy {accuracy:.2%} ({right} of {images} test images), loss {loss:.6f}")
        if self.confusion is not None:
            for label, share in enumerate(class_accuracy(matrix)):
                print(f"  {label}: {share:7.2%} ({matrix[label, label]} of {matrix[label].sum()})")
            print(self.confusion)
        return 0
