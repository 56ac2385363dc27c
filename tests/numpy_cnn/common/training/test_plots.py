"""The plots of a run, checked on matplotlib's figures before they are written."""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.colors import to_hex
from PIL import Image

from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.training import plots

HISTORY = [
    {
        "epoch": epoch,
        "train_loss": 1 / epoch,
        "train_accuracy": 1 - 0.5 / epoch,
        "validation_loss": 1.5 / epoch,
        "validation_accuracy": math.nan,
        "seconds": 1.0,
    }
    for epoch in (1, 2, 3)
]


@pytest.fixture
def drawn(monkeypatch):
    """Collects the figures in the order in which they are written."""
    figures = []
    save = plots.save

    def keep(figure, path):
        figures.append(figure)
        save(figure, path)

    monkeypatch.setattr(plots, "save", keep)
    return figures


def lines_of(axes) -> dict[str, list[float]]:
    return {line.get_label(): list(line.get_ydata()) for line in axes.lines}


def test_training_curves_show_the_history(tmp_path, drawn):
    plots.training_curves(HISTORY, tmp_path / "curves.png", title="a run")

    loss, accuracy = drawn[0].axes
    assert lines_of(loss) == {"training": [1, 1 / 2, 1 / 3], "validation": [1.5, 0.75, 0.5]}
    assert lines_of(accuracy) == {"training": [0.5, 0.75, 1 - 0.5 / 3]}
    assert drawn[0].get_suptitle() == "a run"
    with Image.open(tmp_path / "curves.png") as image:
        assert image.format == "PNG"


def test_training_curves_without_accuracy_have_one_panel(tmp_path, drawn):
    rows = [
        {"epoch": 1, "train_loss": 0.5},
        {"epoch": 2, "train_loss": math.nan},
        {"epoch": 3, "train_loss": 0.25},
    ]
    plots.training_curves(rows, tmp_path / "curves.png")
    plots.training_curves([], tmp_path / "empty.png")

    assert [axes.get_ylabel() for axes in drawn[0].axes] == ["loss"]
    values = lines_of(drawn[0].axes[0])["training"]
    assert (values[0], values[2]) == (0.5, 0.25)
    assert math.isnan(values[1])
    assert (tmp_path / "empty.png").is_file()


def test_compare_curves_names_every_run(tmp_path, drawn):
    plots.compare_curves({"numpy_cnn": HISTORY, "torch_cnn": HISTORY[:2]}, tmp_path / "compare.png")

    (axes,) = drawn[0].axes
    assert list(lines_of(axes)) == [
        "numpy_cnn, training",
        "numpy_cnn, validation",
        "torch_cnn, training",
        "torch_cnn, validation",
    ]
    assert len({line.get_color() for line in axes.lines}) == 2


@pytest.mark.parametrize("filters", [1, 2, 10, 40])
def test_learned_filters_share_one_scale_centred_on_zero(tmp_path, drawn, filters):
    rng = np.random.default_rng(filters)
    before, after = rng.normal(size=(2, filters, 1, 3, 5))
    plots.learned_filters(before, after, tmp_path / "filters.png")

    images = [image for axes in drawn[0].axes for image in axes.images]
    shown = min(filters, 32)
    largest = max(abs(before[:shown]).max(), abs(after[:shown]).max())
    assert len(images) == 2 * shown
    assert {image.get_clim() for image in images} == {(-largest, largest)}
    of_filters = {tuple(image.get_array().ravel()) for image in images}
    assert of_filters == {tuple(kernel.ravel()) for kernel in (*before[:shown], *after[:shown])}


def test_learned_filters_that_are_all_zero(tmp_path):
    plots.learned_filters(np.zeros((2, 1, 3, 3)), np.zeros((2, 1, 3, 3)), tmp_path / "zero.png")


def test_sample_predictions_distinguish_right_from_wrong_with_and_without_colour(tmp_path, drawn):
    images = np.random.default_rng(0).normal(size=(10, 1, 8, 8)).astype(np.float32)
    labels = np.arange(10)
    predictions = labels.copy()
    predictions[9] = 7
    plots.sample_predictions(images, labels, predictions, tmp_path / "samples.png")

    titles = {axes.get_title(): to_hex(axes.title.get_color()) for axes in drawn[0].axes if axes.images}
    assert len(titles) == 10
    assert titles["✗ 7, not 9"] == plots.WRONG.lower()
    assert {titles[f"✓ {digit}"] for digit in range(9)} == {plots.RIGHT.lower()}
    assert "9 of 10 correct" in drawn[0].get_suptitle()


def test_a_picture_that_cannot_be_written_is_one_line(tmp_path):
    with pytest.raises(UserError, match=r"cannot write the picture .*absent.*: there is no such folder"):
        plots.training_curves(HISTORY, tmp_path / "absent" / "curves.png")


def test_without_matplotlib_one_line_names_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(UserError, match=r"pictures need matplotlib .*: pip install matplotlib"):
        plots.training_curves(HISTORY, tmp_path / "curves.png")


def test_large_libraries_are_imported_on_first_use():
    program = (
        "import sys, numpy_cnn.common.training.plots, numpy_cnn.common.photo.image, numpy_cnn.common.data;"
        "print([name for name in ('matplotlib', 'PIL', 'torch', 'torchvision') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
