"""Training in lockstep: correct backends agree at every step; a mistake is reported with step and parameter."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import numpy_cnn.backend
import torch_cnn.backend
from numpy_cnn import ops, optim
from numpy_cnn.arguments import Array, Pullback
from numpy_cnn.common.data import load
from numpy_cnn.common.spec.architecture import Architecture, Preset, preset
from numpy_cnn.common.spec.backend import Backend
from numpy_cnn.common.spec.config import AugmentationConfig, OptimizerConfig
from numpy_cnn.common.spec.initial import initial_parameters
from parity.__main__ import main
from parity.api import lockstep
from parity.api.lockstep import train_in_lockstep
from parity.cases.case import Dtype
from parity.report.training_run import Departure, TrainingReport

ADAM, SGD = OptimizerConfig(), OptimizerConfig("sgd", momentum=0.9, nesterov=True)


def digits(architecture: Architecture) -> tuple[Array, Array]:
    train = load("digits").train
    chosen = train.labels < architecture.classes
    images = train.images[chosen]
    return (images[:, :, :4, :4] if architecture.image_size == (4, 4) else images), train.labels[chosen]


def run(
    arch: Preset,
    optimizer: OptimizerConfig,
    steps: int,
    dtype: Dtype = "float64",
    dropout: float = 0.0,
    augmentation: AugmentationConfig = lockstep.UNCHANGED,
) -> TrainingReport:
    architecture = preset(arch, image_size=None if arch == "tiny" else (8, 8), dropout=dropout)
    taken = train_in_lockstep(
        architecture,
        optimizer,
        *digits(architecture),
        batch_size=16,
        steps=steps,
        seed=3,
        dtype=dtype,
        augmentation=augmentation,
    )
    report = TrainingReport(dtype, tuple(taken))
    assert [step.number for step in report.steps] == [*range(1, steps + 1)]
    assert list(report.worst) == list(architecture.parameter_shapes())
    return report


@pytest.mark.parametrize("arch", ["simple", "hidden", "tiny", "edge"])
@pytest.mark.parametrize("optimizer", [ADAM, SGD], ids=["adam", "sgd"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_both_backends_take_the_same_steps(arch: Preset, optimizer: OptimizerConfig, dtype: Dtype) -> None:
    report = run(arch, optimizer, 12, dtype)
    assert report.ok
    assert 0 < max(gradient for gradient, _ in report.worst.values()) <= 0.5
    assert 0 < max(update for _, update in report.worst.values()) <= 0.5
    assert all(0 < step.ulp_drift < 1e-3 for step in report.steps)
    assert report.steps[-1].numpy_loss == pytest.approx(report.steps[-1].torch_loss, rel=1e-5)  # only printed


@pytest.mark.parametrize(
    ("arch", "optimizer"),
    [("lenet5", ADAM), ("vgg", ADAM), ("resnet", SGD), ("resnet", OptimizerConfig("adamw", clip_norm=1.0)),
     ("simple", OptimizerConfig("rmsprop")), ("simple", OptimizerConfig("adagrad", clip_value=0.01))],
    ids=["lenet5", "vgg", "resnet", "adamw, clipped", "rmsprop", "adagrad, clipped"],
)  # fmt: skip
def test_deeper_networks_and_other_optimizers(arch: Preset, optimizer: OptimizerConfig) -> None:
    report = run(arch, optimizer, 2 if arch in ("vgg", "resnet") else 5)
    assert report.ok, report.departure


@pytest.mark.parametrize("arch", ["simple", "hidden"])
def test_dropout_drops_the_same_units_in_both_backends(arch: Preset) -> None:
    report, without = run(arch, ADAM, 10, dropout=0.5), run(arch, ADAM, 10)
    assert report.ok, report.departure
    assert report.steps[-1].numpy_loss != without.steps[-1].numpy_loss


def test_both_backends_train_on_the_same_changed_images() -> None:
    changed, without = run("hidden", ADAM, 10, augmentation=AugmentationConfig(1, 15)), run("hidden", ADAM, 10)
    assert changed.ok, changed.departure
    assert changed.steps[0].numpy_loss != without.steps[0].numpy_loss


def images_at_a_kink(architecture: Architecture, seed: int) -> Iterator[Array]:
    """Images for which one unit of fc1 is above 0 in one precision and below 0 in the other."""
    p = initial_parameters(architecture, seed, np.float64)

    def units(x: Array) -> Array:
        own = [p[name].astype(x.dtype) for name in ("conv1.weight", "conv1.bias", "fc1.weight", "fc1.bias")]
        y = ops.max_pool2d(ops.relu(ops.conv2d(x, *own[:2])[0])[0], 2)[0]
        return np.asarray(ops.linear(y.reshape(1, -1), *own[2:])[0][0])

    generator = np.random.default_rng(0)
    for _ in range(1000):
        x = generator.random((1, 1, 8, 8))
        low, high = 0.0, 4.0  # brightness
        changing = np.flatnonzero(np.sign(units(low * x)) != np.sign(units(high * x)))
        for _ in range(40 if changing.size else 0):
            middle = (low + high) / 2
            below = np.sign(units(middle * x)) == np.sign(units(low * x))
            low, high = (middle, high) if below[changing[0]] else (low, middle)
        image: Array = (low * x).astype(np.float32)
        if (np.sign(units(image)) != np.sign(units(image.astype(np.float64)))).any():
            yield image


def test_a_unit_at_its_kink_is_not_a_departure(monkeypatch: pytest.MonkeyPatch) -> None:
    architecture = preset("hidden", image_size=(8, 8))

    def worst(image: Array, kinks: int) -> float:
        monkeypatch.setattr(lockstep, "KINKS", kinks)
        (step,) = train_in_lockstep(
            architecture, ADAM, image, np.array([3]), batch_size=1, steps=1, seed=0, dtype="float32"
        )
        return max(step.gradients.values())

    kinks = lockstep.KINKS
    image = next(
        image for image in images_at_a_kink(architecture, seed=0) if worst(image, 0) > 1000
    )  # a unit that is off only in NumPy's float32
    assert worst(image, kinks) < 1


@pytest.mark.parametrize("mistake", [1 + 1e-6, 1.001])
def test_a_slightly_wrong_step_size_is_found(monkeypatch: pytest.MonkeyPatch, mistake: float) -> None:
    right = optim.Adam.step

    def wrong(self: optim.Adam, gradients: dict[str, Array]) -> None:
        lr, self.lr = self.lr, self.lr * mistake
        right(self, gradients)
        self.lr = lr

    monkeypatch.setattr(optim.Adam, "step", wrong)
    report = run("hidden", ADAM, 3)
    assert report.departure is not None
    assert (report.departure.step, report.departure.part) == (1, "update")
    assert report.departure.fraction > 10


def test_a_mistake_is_found_in_its_layer_and_step(monkeypatch: pytest.MonkeyPatch) -> None:
    """The gradient of fc1.weight is too large by one part in a million from the fourth step on."""
    right, calls = ops.linear, {"fc1": 0}

    def wrong(input: Array, weight: Array, bias: Array | None = None) -> tuple[Array, Pullback]:
        y, pullback = right(input, weight, bias)

        def off(dy: Array, **wanted: object) -> tuple[Array | None, ...]:
            dx, dw, db = pullback(dy, **wanted)
            if weight.shape[0] == 128:
                calls["fc1"] += 1
                dw = dw * (1 + 1e-6 * (calls["fc1"] > 6))  # numpy_cnn runs each step twice
            return dx, dw, db

        return y, off

    monkeypatch.setattr(ops, "linear", wrong)
    departure = run("hidden", OptimizerConfig("sgd"), 5).departure
    assert isinstance(departure, Departure)
    assert (departure.step, departure.part, departure.parameter) == (4, "gradient", "fc1.weight")


@pytest.mark.parametrize("optimizer", [ADAM, SGD], ids=["adam", "sgd"])
def test_a_run_can_switch_between_the_backends(optimizer: OptimizerConfig) -> None:
    """Ten steps in each backend give the result of twenty in one, up to the drift caused by one ulp."""
    architecture = preset("hidden", image_size=(8, 8))
    images, labels = digits(architecture)
    batches = [np.random.default_rng(number).integers(0, len(images), 16) for number in range(20)]
    start = initial_parameters(architecture, 0, np.float64)

    def trained(*kinds: type[Backend], begin: dict[str, Array] = start) -> dict[str, Array]:
        parameters, state = {name: array.copy() for name, array in begin.items()}, None
        for number, kind in enumerate(kinds):
            backend = kind(architecture, parameters, optimizer, state)
            share = 20 // len(kinds)
            for batch in batches[number * share : (number + 1) * share]:
                backend.train_step(images[batch].astype(np.float64), labels[batch], 0.01)
            parameters = {name: array.copy() for name, array in backend.parameters().items()}
            state = {name: array.copy() for name, array in backend.optimizer_state().items()}
        return parameters

    numpy, torch = numpy_cnn.backend.Backend, torch_cnn.backend.Backend
    whole = trained(torch)
    apart = trained(torch, begin=start | {"conv1.weight": np.nextafter(start["conv1.weight"], np.inf)})

    def distance(a: dict[str, Array], b: dict[str, Array]) -> float:
        return max(float(np.abs(a[name] - b[name]).max()) for name in a)

    for mixed in ((numpy, torch), (torch, numpy), (numpy,)):
        assert distance(trained(*mixed), whole) <= 16 * distance(apart, whole), mixed


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    picture = tmp_path / "drift.png"
    assert main(["train", "--steps", "3", "--arch", "simple", "--plot", str(picture)]) == 0
    out = capsys.readouterr().out
    assert "the backends agree in each of 3 steps\n" in out
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_command_reports_the_first_departure(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    right = optim.SGD.step
    monkeypatch.setattr(
        optim.SGD, "step", lambda self, gradients: right(self, gradients | {"fc1.bias": gradients["fc1.bias"] * 2})
    )
    assert main(["train", "--steps", "2", "--arch", "simple", "--optimizer", "sgd"]) == 1
    out = capsys.readouterr().out
    assert "the backends DISAGREE: in step 1, from equal gradients, the update of fc1.bias has " in out
