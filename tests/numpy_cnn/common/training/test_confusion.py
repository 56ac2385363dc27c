"""The confusion matrix: its counts, the accuracy per class, and its plot."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from programs import error_of, succeed

from numpy_cnn.common.training import confusion
from numpy_cnn.common.training.confusion import class_accuracy, confusion_matrix, draw_confusion


def test_rows_are_classes_and_columns_are_predictions() -> None:
    matrix = confusion_matrix(np.array([0, 0, 1, 3]), np.array([0, 2, 1, 0]), 4)
    assert matrix.tolist() == [[1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]]
    np.testing.assert_array_equal(class_accuracy(matrix), [0.5, 1, np.nan, 0])


@pytest.mark.parametrize("classes", [1, 2, 10, 47])
def test_a_plot_with_any_number_of_classes(classes: int, tmp_path: Path) -> None:
    labels = np.arange(3 * classes) % classes
    draw_confusion(confusion_matrix(labels, labels // 2, classes), tmp_path / "m.png")
    with Image.open(tmp_path / "m.png") as picture:
        assert min(picture.size) > 300


def test_counts_on_dark_cells_are_white(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[Any] = []
    monkeypatch.setattr(confusion, "save", lambda figure, _: drawn.append(figure))
    draw_confusion(np.array([[9, 1], [0, 5]]), Path("m.png"))
    (axes,) = drawn[0].axes
    assert {text.get_text(): text.get_color() for text in axes.texts} == {"9": "white", "1": "black", "5": "white"}


def test_evaluate_prints_and_draws_it(trained: dict[str, Path], program: str, tmp_path: Path) -> None:
    picture, report = tmp_path / "m.png", tmp_path / "m.json"
    out = succeed(program, "evaluate", trained[program], "--confusion", picture, "--json", report).out
    results = json.loads(report.read_text())
    matrix = np.array(results["confusion"])
    assert matrix.shape == (10, 10)
    assert (matrix.sum(), matrix.trace()) == (results["images"], results["correct"])
    lines = out.splitlines()[1:]
    for label in range(10):
        right, images = matrix[label, label], matrix[label].sum()
        assert lines[label] == f"  {label}: {right / images:7.2%} ({right} of {images})"
        assert results["class_accuracy"][label] == right / images
    assert lines[10:] == [str(picture)]
    assert picture.stat().st_size > 1000


def test_a_picture_that_cannot_be_written_is_one_line(trained: dict[str, Path], tmp_path: Path) -> None:
    message = error_of("numpy_cnn", "evaluate", trained["numpy_cnn"], "--confusion", tmp_path / "no" / "m.png")
    assert message.startswith("cannot write the picture")
