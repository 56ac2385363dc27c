"""`evaluate` and `summary`, with checkpoints of either program."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from programs import (
    OTHER,
    PROGRAMS,
    error_of,
    succeed,
)

from numpy_cnn.common.data import digits
from numpy_cnn.common.training.checkpoint import load_checkpoint
from numpy_cnn.common.training.run_folder import RunFolder

QUICK = ("--limit", 80, "--batch-size", 20, "--epochs", 1)


def test_a_checkpoint_gives_the_same_answers_in_either_program(trained: dict[str, Path], program: str) -> None:
    path = RunFolder(trained[program]).best
    test = digits.load().test
    answers, reports = {}, {}
    for name, entry in PROGRAMS.items():
        network = load_checkpoint(path)
        backend = entry.backend()(network.architecture, network.parameters, network.config.optimization)
        answers[name] = backend.logits(test.images).argmax(axis=1).tolist()
        reports[name] = json.loads(succeed(name, "evaluate", path, "--json", "-").out)
        assert reports[name]["correct"] == sum(map(int.__eq__, answers[name], test.labels.tolist()))
        assert reports[name]["accuracy"] == reports[name]["correct"] / 359
        keys = ["schema", "checkpoint", "backend", "correct", "images", "accuracy", "loss"]
        assert [*reports[name]] == [*keys, "class_accuracy", "confusion"]
        assert (reports[name]["backend"], reports[name]["checkpoint"]) == (name, str(path))
    assert answers["numpy_cnn"] == answers["torch_cnn"]
    assert reports[program]["correct"] == reports[OTHER[program]]["correct"] > 300


def test_evaluate_reports_what_training_reported(trained: dict[str, Path], program: str, tmp_path: Path) -> None:
    path = RunFolder(trained[program]).best
    result = succeed(program, "evaluate", path, "--json", tmp_path / "result.json")
    right = json.loads((tmp_path / "result.json").read_text())["correct"]
    assert result.out.startswith(f"{path}: accuracy {right / 359:.2%} ({right} of 359 test images), loss 0.")
    assert result.err == ""


def test_evaluate_refuses_images_of_another_size(trained: dict[str, Path], program: str) -> None:
    path = RunFolder(trained[program]).best
    message = error_of(program, "evaluate", path, "--data", "mnist")
    assert message == f"{path} reads images of 8x8 (digits), not those of mnist"


@pytest.mark.usefixtures("no_pictures")
def test_evaluate_lists_what_was_left_out(tmp_path: Path, program: str) -> None:
    succeed(program, "train", *QUICK, "--arch", "tiny", "--out", tmp_path / "run")
    out = succeed(program, "evaluate", tmp_path / "run" / "best.safetensors").out.splitlines()
    assert out[0] == "digits: images averaged 8x8 -> 4x4; only classes 0-1 kept (360 of 1797 images)"
    assert "of 48 test images" in out[1]


def test_summary_lists_layers_shapes_and_parameters(program: str) -> None:
    rows = [line.split("  ") for line in succeed(program, "summary", "--data", "mnist").out.splitlines()]
    table = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    assert ["conv1", "8 x 26 x 26", "80"] in table
    assert ["fc1", "128", "173,184"] in table
    assert ["fc2", "10", "1,290"] in table
    assert ["in all", "174,554"] in table
    assert "9 (fixed)" in succeed(program, "summary", "--arch", "edge").out
