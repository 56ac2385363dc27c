"""The confusion matrix of a network."""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from numpy_cnn.common.training.plots import new_figure, save

_NUMBERED = 20  # with more classes, the counts are not printed in the cells


def confusion_matrix(labels: npt.NDArray[Any], answers: npt.NDArray[Any], classes: int) -> npt.NDArray[np.int64]:
    """Counts (classes, classes): row i, column j is the number of images of class i classified as j."""
    counts = np.bincount(labels * classes + answers, minlength=classes * classes)
    return counts.reshape(classes, classes)


def class_accuracy(matrix: npt.NDArray[np.int64]) -> npt.NDArray[np.float64]:
    """The accuracy of each class; NaN for a class without images."""
    images = matrix.sum(axis=1)
    shares = np.full(len(images), np.nan)
    np.divide(matrix.diagonal(), images, out=shares, where=images > 0)
    return shares


def draw_confusion(matrix: npt.NDArray[np.int64], path: Path) -> None:
    """The matrix as a PNG: one row per class with its accuracy, shaded by the share of the row.

    Raises:
        UserError: matplotlib is not installed, or the file cannot be written.
    """
    classes = len(matrix)
    shares = matrix / np.maximum(matrix.sum(axis=1, keepdims=True), 1)
    figure = new_figure(
        width=max(4.2, 0.5 * min(classes, _NUMBERED) + 1.8), height=max(3.4, 0.46 * min(classes, 20))
    )
    axes = figure.add_subplot()
    # The square root makes single mistakes visible next to a diagonal near 1.
    axes.imshow(np.sqrt(shares), cmap="Blues", vmin=0, vmax=1)
    axes.set(xlabel="read as", title=f"{matrix.trace()} of {matrix.sum()} correct")
    if classes <= _NUMBERED:
        accuracy = ["-" if np.isnan(share) else f"{share:.1%}" for share in class_accuracy(matrix)]
        axes.set_xticks(range(classes))
        axes.set_yticks(range(classes), [f"{label}  {share}" for label, share in enumerate(accuracy)])
        axes.set_ylabel("class, and its accuracy")
        for (row, column), count in np.ndenumerate(matrix):
            if count:
                dark = shares[row, column] > 0.3
                axes.text(
                    column,
                    row,
                    str(count),
                    ha="center",
                    va="center",
                    fontsize=8,
                    color="white" if dark else "black",
                )
    else:
        axes.set_ylabel("class")
    save(figure, path)
