"""`--threads`: reproducible bits, the results of one thread, and the same errors and Ctrl-C."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from programs import HANG, bits, error_of, last, succeed

from numpy_cnn import backend
from numpy_cnn.common.spec.architecture import Architecture, preset
from numpy_cnn.common.spec.config import OptimizerConfig
from numpy_cnn.common.spec.initial import initial_parameters

TINY: Architecture = preset("tiny")
SMALL = ("--limit", 400, "--batch-size", 130, "--filters", 2, "--hidden", 6, "--epochs", 2)


def integers(shape: tuple[int, ...], seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(-3, 4, shape).astype(np.float64)


@pytest.mark.parametrize("threads", [2, 3, 8, 9])
@pytest.mark.parametrize("size", [1, 2, 64])
def test_a_step_does_not_depend_on_the_threads(monkeypatch: pytest.MonkeyPatch, threads: int, size: int) -> None:
    # Integers and halves, with powers of two as batch size and step size: every sum is exact in any order.
    for name in ("SCORED", "TRAINED", "SHARE"):
        monkeypatch.setattr(backend, name, size)
    images = integers((8, TINY.in_channels, *TINY.image_size), 0)
    labels = np.arange(8) % TINY.classes
    start = {name: integers(shape, i) for i, (name, shape) in enumerate(TINY.parameter_shapes().items())}
    found = []
    for count in (None, threads):
        network = backend.Backend(TINY, start, OptimizerConfig(optimizer="sgd"), threads=count)
        loss, scores = network.train_step(images, labels, lr=0.5)
        found.append([loss, scores, network.logits(images), *network.parameters().values()])
    for alone, shared in zip(*found, strict=True):
        assert np.array_equal(alone, shared)


@pytest.mark.parametrize("threads", [2, 3])
def test_repeated_runs_give_identical_bits(threads: int) -> None:
    architecture = preset("hidden")
    generator = np.random.default_rng(0)
    images = generator.random((150, 1, 28, 28), dtype=np.float32)
    labels = generator.integers(0, 10, len(images))
    ends = []
    for _ in range(2):
        network = backend.Backend(
            architecture, initial_parameters(architecture, 0), OptimizerConfig(), threads=threads
        )
        losses = [network.train_step(images, labels, 1e-3)[0] for _ in range(5)]
        ends.append((losses, bits(network.parameters()), network.logits(images).tobytes()))
    assert ends[0] == ends[1]


def test_all_threads_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three threads meet at a barrier, which times out if fewer of them work."""
    together = threading.Barrier(3, timeout=60)
    monkeypatch.setattr(backend, "SHARE", 3)
    network = backend.Backend(TINY, initial_parameters(TINY, 0), OptimizerConfig(), threads=3)
    model, seen = network.model, []

    def meeting(x: np.ndarray):
        seen.append((threading.get_ident(), len(x)))
        together.wait()
        return model(x)

    monkeypatch.setattr(network, "model", meeting)
    network.logits(np.zeros((8, TINY.in_channels, *TINY.image_size), np.float32))
    assert len({thread for thread, _ in seen}) == 3
    assert sorted(images for _, images in seen) == [2, 3, 3]


@pytest.mark.parametrize("bad", [0, 7])  # in the part of the calling thread, and of the other
def test_an_error_in_a_thread_is_raised(monkeypatch: pytest.MonkeyPatch, bad: int) -> None:
    monkeypatch.setattr(backend, "SHARE", 1)
    network = backend.Backend(
        preset("hidden"), initial_parameters(preset("hidden"), 0), OptimizerConfig(), threads=2
    )
    labels = np.zeros(8, np.int64)
    labels[bad] = 99
    with pytest.raises(ValueError, match="target 99 is neither a class"):
        network.train_step(np.zeros((8, 1, 28, 28), np.float32), labels, 1e-3)


@pytest.mark.parametrize("setting", ["ignore", "raise"])
def test_every_thread_uses_the_error_settings_of_the_caller(monkeypatch: pytest.MonkeyPatch, setting: str) -> None:
    monkeypatch.setattr(backend, "SHARE", 1)
    images = np.zeros((2, TINY.in_channels, *TINY.image_size), np.float32)
    images[1] = 1e38  # in the part of the other thread, which warns by default
    network = backend.Backend(TINY, initial_parameters(TINY, 0), OptimizerConfig(), threads=2)
    with np.errstate(all="ignore", over=setting):
        if setting == "ignore":
            assert network.train_step(images, np.zeros(2, np.int64), 1e-3)[0] == np.inf
        else:
            with pytest.raises(FloatingPointError):
                network.train_step(images, np.zeros(2, np.int64), 1e-3)


@pytest.mark.parametrize("threads", ["0", "-1", "257"])
def test_an_invalid_number_of_threads_is_reported(program: str, threads: str) -> None:
    message = error_of(program, "train", "--threads", threads)
    assert message == f"--threads must be between 1 and 256, got {threads}"


@pytest.mark.usefixtures("no_pictures")
def test_both_programs_train_on_two_threads(tmp_path: Path, program: str) -> None:
    runs = []
    for out in (tmp_path / "one", tmp_path / "again"):
        succeed(program, "train", *SMALL, "--threads", 2, "--out", out)
        runs.append(bits(last(out).parameters))
    assert runs[0] == runs[1]


@pytest.mark.skipif(os.name != "posix", reason="sends SIGINT")
def test_ctrl_c_saves_the_run(tmp_path: Path) -> None:
    command = [
        sys.executable,
        "-m",
        "numpy_cnn",
        "train",
        "--epochs",
        "100000",
        "--batch-size",
        "256",
        "--threads",
        "2",
    ]
    out = tmp_path / "run"
    with subprocess.Popen([*command, "--out", str(out)], stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + HANG
        while not (out / "last.safetensors").exists():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        process.send_signal(signal.SIGINT)
        _, reported = process.communicate(timeout=HANG)
    assert process.returncode == 130
    assert "interrupted; saved" in reported
    assert "Traceback" not in reported
