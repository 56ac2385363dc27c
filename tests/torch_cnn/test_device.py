"""`--device`: existing and missing devices, and that all tensors move to the device."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from programs import call, succeed

from numpy_cnn.common.spec.architecture import Architecture, preset
from numpy_cnn.common.spec.backend import Array
from numpy_cnn.common.spec.config import OptimizerConfig
from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.spec.initial import initial_parameters
from numpy_cnn.common.training.checkpoint import load_checkpoint
from torch_cnn import backend, device
from torch_cnn.views import dense, trace

GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
NO_GPU = pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """PyTorch's meta device, whose tensors have no data and cannot be combined with tensors on the CPU."""
    monkeypatch.setattr(device, "_selected", torch.device("meta"))

    def host(values: torch.Tensor) -> Array:
        assert values.device.type == "meta" or values.dim() == 0, "only a number of steps stays on the CPU"
        return np.zeros(values.shape, np.float32)

    for module in (backend, dense, trace):
        monkeypatch.setattr(module, "host", host)


def pictures(network: Architecture) -> tuple[Array, Array]:
    return np.zeros((3, 1, *network.image_size), np.float32), np.array([0, 1, 0])


@pytest.mark.usefixtures("elsewhere")
@pytest.mark.parametrize("arch", ["hidden", "tiny", "edge"])
@pytest.mark.parametrize("kind", ["adam", "sgd"])
def test_the_backend_moves_everything(arch: str, kind: str) -> None:
    network = preset(arch)
    optimizer = OptimizerConfig(optimizer=kind)
    parameters = initial_parameters(network, 0)
    state = {f"{name}.exp_avg": np.zeros_like(parameters[name]) for name in network.trained}
    state |= {f"{name}.exp_avg_sq": np.zeros_like(parameters[name]) for name in network.trained}
    state |= {f"{name}.step": np.ones((), np.float32) for name in network.trained}
    trained = backend.Backend(network, parameters, optimizer, state if kind == "adam" else None)
    images, labels = pictures(network)
    trained.train_step(images, labels, 0.1)
    _, scores, gradients = trained.gradients(images, labels)
    trained.update(gradients, 0.1)
    assert trained.logits(images).shape == scores.shape == (3, network.classes)
    trained.loss(scores, labels)
    trained.probabilities(scores)
    assert len([*trained.quantities(images, labels)]) > len(network.trained)
    assert {p.device.type for p in trained.model.parameters()} == {"meta"}
    assert set(trained.parameters()) == set(parameters)
    assert (kind == "adam") == bool(trained.optimizer_state())


@pytest.mark.usefixtures("elsewhere")
def test_the_views_move_everything() -> None:
    network = Architecture()
    images, labels = pictures(network)
    parameters = initial_parameters(network, 0)
    assert trace.trace(network, parameters, images[:1], labels[:1]).values
    flat = {"fc1.weight": np.zeros((5, 784), np.float32), "fc1.bias": np.zeros(5, np.float32)}
    flat |= {"fc2.weight": np.zeros((10, 5), np.float32), "fc2.bias": np.zeros(10, np.float32)}
    learner = dense.Dense(flat, OptimizerConfig())
    learner.train_step(images, labels, 0.1)
    assert learner.logits(images).shape == (3, 10)


def test_the_meta_device_rejects_tensors_on_the_cpu() -> None:
    scores = torch.zeros(2, 2, device="meta")
    with pytest.raises(RuntimeError, match="expected device"):
        torch.nn.functional.cross_entropy(scores, torch.tensor([0, 1]))


@NO_GPU
@pytest.mark.parametrize("command", [["train"], ["evaluate", "none"], ["summary"], ["predict", "none.png"]])
def test_a_missing_device_is_reported(command: list[str]) -> None:
    result = call("torch_cnn", *command, "--device", "cuda")
    assert result.code == 2
    version = torch.__version__
    assert f"--device cuda: this PyTorch ({version}) has no CUDA device; use --device cpu" in result.err


def test_numpy_computes_on_the_cpu() -> None:
    result = call("numpy_cnn", "train", "--device", "cuda")
    assert result.code == 2
    assert "--device cuda: numpy_cnn computes on the CPU" in result.err
    assert succeed("numpy_cnn", "summary", "--device", "auto").out


@NO_GPU
def test_auto_is_the_cpu_if_there_is_no_other_device(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    assert device.find("auto") == torch.device("cpu")
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    assert device.find("auto") == torch.device("mps")


def test_each_process_of_a_host_uses_its_own_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert device.find("auto") == torch.device("cuda", 0)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert device.find("cuda") == torch.device("cuda", 1)
    monkeypatch.setenv("LOCAL_RANK", "2")
    with pytest.raises(UserError, match="process 3 of this host needs its own GPU, but there are only 2"):
        device.find("cuda")


@GPU
@pytest.mark.usefixtures("no_pictures")
def test_a_run_moves_to_the_cpu_and_back(tmp_path: Path) -> None:
    run = tmp_path / "run"
    common = ["--limit", 200, "--schedule", "constant"]
    succeed("torch_cnn", "train", "--out", run, "--epochs", 1, "--device", "cuda", *common)
    succeed("numpy_cnn", "--resume", run, "--epochs", 2)
    succeed("torch_cnn", "--resume", run, "--epochs", 3, "--device", "cuda")
    assert load_checkpoint(run / "last.safetensors").progress.epoch == 3
