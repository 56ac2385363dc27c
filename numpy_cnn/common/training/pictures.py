"""The pictures of a run."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from numpy_cnn.common.data.dataset import Split
from numpy_cnn.common.spec.initial import initial_parameters
from numpy_cnn.common.training.checkpoint import Checkpoint
from numpy_cnn.common.training.history import Row
from numpy_cnn.common.training.run_folder import RunFolder

SAMPLES = 24


def draw_pictures(
    run: RunFolder, best: Checkpoint, history: Sequence[Row], test: Split, answers: npt.NDArray[Any]
) -> list[Path]:
    """Draw training_curves, learned_filters, sample_predictions and confusion_matrix into the run's folder.

    Args:
        run: the folder.
        best: the checkpoint whose filters and predictions are drawn.
        history: one row per epoch.
        test: the test images.
        answers: the network's prediction for each of them.

    Returns:
        The files written.
    """
    from numpy_cnn.common.training import confusion, plots

    names = ("training_curves", "learned_filters", "sample_predictions", "confusion_matrix")
    curves, filters, samples, matrix = (run.path / f"{name}.png" for name in names)
    plots.training_curves(history, curves)
    before = initial_parameters(best.architecture, best.config.seed, init=best.config.init)["conv1.weight"]
    plots.learned_filters(before, best.parameters["conv1.weight"], filters)
    chosen = np.random.default_rng([best.config.seed, 2]).permutation(len(test))[:SAMPLES]
    plots.sample_predictions(test.images[chosen], test.labels[chosen], answers[chosen], samples)
    confusion.draw_confusion(confusion.confusion_matrix(test.labels, answers, best.architecture.classes), matrix)
    return [curves, filters, samples, matrix]
