"""The pretrained network in the package."""

from pathlib import Path

from programs import succeed

from numpy_cnn.common.data.pretrained import PRETRAINED
from numpy_cnn.common.training.checkpoint import load_checkpoint


def test_it_is_small_and_trained_by_the_project_s_own_command() -> None:
    checkpoint = load_checkpoint(PRETRAINED)
    assert PRETRAINED.stat().st_size <= 700_000
    assert (checkpoint.backend, checkpoint.config.dataset.data) == ("numpy_cnn", "mnist")
    assert not checkpoint.optimizer_state


def test_its_accuracy_on_mnist_is_the_documented_one(mnist_dir: Path, program: str) -> None:
    assert (
        "accuracy 99.04% (9904 of 10000 test images)"
        in succeed(program, "evaluate", PRETRAINED, "--data-dir", mnist_dir).out
    )
