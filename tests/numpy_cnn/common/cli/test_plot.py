"""`plot`: the pictures of runs, drawn again."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from programs import (
    error_of,
    succeed,
)

PICTURES = ["confusion_matrix.png", "learned_filters.png", "sample_predictions.png", "training_curves.png"]


def test_plot_draws_the_pictures_again(trained: dict[str, Path], program: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained[program], run)
    before = {name: (run / name).read_bytes() for name in PICTURES}
    for name in PICTURES:
        (run / name).unlink()
    out = succeed(program, "plot", run).out
    assert sorted(out.splitlines()) == [str(run / name) for name in PICTURES]
    assert {name: (run / name).read_bytes() for name in PICTURES} == before


def test_plot_gives_each_run_a_distinct_name(
    trained: dict[str, Path], program: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    succeed(program, "plot", *trained.values(), "--compare", tmp_path / "both.png")
    assert (tmp_path / "both.png").is_file()

    drawn: list[list[str]] = []
    compared = "numpy_cnn.common.training.plots.compare_curves"
    monkeypatch.setattr(compared, lambda histories, _: drawn.append([*histories]))
    paths = [tmp_path / side / "run" for side in ("a", "b")]
    for path in paths:
        shutil.copytree(trained[program], path)
    succeed(program, "plot", *paths, "--compare", tmp_path / "both.png")
    succeed(program, "plot", *trained.values(), "--compare", tmp_path / "both.png")
    assert drawn == [[str(path) for path in paths], ["numpy_cnn", "torch_cnn"]]


def test_plot_of_a_run_without_a_complete_epoch_is_reported(
    tmp_path: Path, trained: dict[str, Path], program: str
) -> None:
    shutil.copy(trained[program] / "last.safetensors", tmp_path)
    for typed in ((), ("--compare", tmp_path / "both.png")):
        message = error_of(program, "plot", tmp_path, *typed)
        assert message == (
            f"{tmp_path}: no epoch is complete, so there is nothing to draw; continue with --resume {tmp_path}"
        )
