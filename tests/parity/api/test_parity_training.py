"""Whole training runs: right backends agree, a mistake in one does not pass for roundoff."""

import numpy as np
import pytest

from numpy_cnn import optim
from numpy_cnn.common.data import load
from numpy_cnn.common.spec.architecture import preset
from numpy_cnn.common.spec.config import OptimizerConfig
from parity.api.training import TrainingReport, compare_training


def run(arch: str, optimizer: OptimizerConfig, steps: int) -> dict[str, float]:
    """The fractions of what is allowed, on the embedded digits."""
    architecture = preset(arch, image_size=(8, 8))  # type: ignore[arg-type]
    train = load("digits").train
    chosen = train.labels < architecture.classes
    *_, report = compare_training(
        architecture, optimizer, train.images[chosen], train.labels[chosen], batch_size=16, steps=steps, seed=3
    )
    assert isinstance(report, TrainingReport)
    assert len(report.steps) == steps
    return report.fractions()


@pytest.mark.parametrize("arch", ["simple", "hidden", "tiny", "edge"])
@pytest.mark.parametrize("optimizer", [OptimizerConfig(), OptimizerConfig("sgd", momentum=0.9, nesterov=True)])
def test_both_backends_train_alike(arch: str, optimizer: OptimizerConfig) -> None:
    fractions = run(arch, optimizer, steps=40)
    assert max(fractions.values()) <= 1
    assert min(fractions.values()) >= 0


@pytest.mark.parametrize("mistake", [1 + 1e-6, 1.001])
def test_a_step_size_slightly_off_is_seen(monkeypatch: pytest.MonkeyPatch, mistake: float) -> None:
    right = optim.Adam.step

    def wrong(self: optim.Adam, gradients: dict[str, np.ndarray]) -> None:
        lr, self.lr = self.lr, self.lr * mistake
        right(self, gradients)
        self.lr = lr

    monkeypatch.setattr(optim.Adam, "step", wrong)
    assert max(run("hidden", OptimizerConfig(), steps=20).values()) > 1
