"""The message of a diverging run contains the step and the quantity; a huge finite loss gives a warning."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from programs import PROGRAMS, call, last, succeed

from numpy_cnn.common.spec.architecture import PRESETS, preset
from numpy_cnn.common.spec.config import OptimizerConfig
from numpy_cnn.common.spec.initial import initial_parameters
from numpy_cnn.common.training.run_folder import RunFolder

pytestmark = pytest.mark.usefixtures("no_pictures")
SMALL = ("--limit", 80, "--batch-size", 20, "--filters", 2, "--hidden", 6)


def test_the_message_names_step_quantity_and_the_last_good_checkpoint(tmp_path: Path, program: str) -> None:
    """A weight decay that overshoots makes the weights grow; they overflow only after the first epochs."""
    flags = ("--optimizer", "sgd", "--lr", 10, "--weight-decay", 1, "--schedule", "constant", "--epochs", 60)
    result = call(program, "train", *SMALL, *flags, "--out", tmp_path / "run")
    assert result.code == 2
    epoch = last(tmp_path / "run").progress.epoch
    assert epoch >= 1
    message = result.err.splitlines()[-1]
    assert message.startswith(f"{program}: error: training diverged in epoch {epoch + 1}: in step ")
    assert " is no longer finite (" in message
    file = RunFolder(tmp_path / "run").last
    assert f"the last good checkpoint is {file}, after epoch {epoch}; try a smaller --lr than 10" in message


def test_a_loss_that_explodes_gives_one_warning(tmp_path: Path, program: str) -> None:
    result = succeed(program, "train", *SMALL, "--lr", "1e6", "--epochs", 2, "--out", tmp_path / "run")
    (warning,) = [line for line in result.err.splitlines() if line.startswith("warning: ")]
    assert "guessing gives 2.3: training diverges; try a smaller --lr than 1e+06" in warning


def test_a_run_that_learns_gives_no_warning(trained: dict[str, Path], tmp_path: Path, program: str) -> None:
    assert "warning" not in succeed(program, "train", *SMALL, "--epochs", 1, "--out", tmp_path / "run").err


@pytest.mark.parametrize("architecture", [PRESETS["tiny"], PRESETS["edge"], preset("hidden", image_size=(8, 8))])
def test_both_backends_list_the_same_quantities(architecture) -> None:
    """torch may list fewer: it computes no gradients before the first layer with parameters."""
    rng = np.random.default_rng(0)
    images = rng.standard_normal((3, 1, *architecture.image_size), np.float32)
    labels = np.array([0, 1, 0])
    listed = {}
    for name, program in PROGRAMS.items():
        backend = program.backend()(architecture, initial_parameters(architecture, 0), OptimizerConfig())
        before = backend.parameters()["fc1.weight"].copy()
        listed[name] = {key: np.array(array) for key, array in backend.quantities(images, labels)}
        assert np.array_equal(backend.parameters()["fc1.weight"], before)
    ours, theirs = listed["numpy_cnn"], listed["torch_cnn"]
    assert [key for key in ours if key in theirs] == [*theirs]
    assert {*ours} - {*theirs} <= {
        f"the gradient of the output of {name}" for name in ("conv1", "relu1", "pool1", "flatten")
    } | {"the gradient of conv1.weight"}
    for key, array in theirs.items():
        np.testing.assert_allclose(ours[key], array, rtol=1e-3, atol=1e-5, err_msg=key)
