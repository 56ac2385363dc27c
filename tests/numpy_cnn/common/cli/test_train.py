"""`train`: what it writes, prints and refuses."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from PIL import Image
from programs import (
    WITHOUT_PICTURES,
    bits,
    error_of,
    fork,
    history,
    last,
    succeed,
)

from numpy_cnn.common.spec.architecture import Architecture
from numpy_cnn.common.spec.config import TrainConfig
from numpy_cnn.common.training.history import COLUMNS
from numpy_cnn.common.training.run_folder import RunFolder

QUICK = ("--limit", 80, "--batch-size", 20, "--epochs", 1)
PICTURES = ["confusion_matrix.png", "learned_filters.png", "sample_predictions.png", "training_curves.png"]


def test_a_run_leaves_checkpoints_history_and_pictures(trained: dict[str, Path], program: str) -> None:
    files = sorted(file.name for file in trained[program].iterdir())
    assert files == sorted(["best.safetensors", "history.csv", "last.safetensors", "run.toml", *PICTURES])
    for name in PICTURES:
        with Image.open(trained[program] / name) as picture:
            assert min(picture.size) > 200
    lines = (trained[program] / "history.csv").read_text().splitlines()
    assert lines[0].split(",") == [*COLUMNS]
    assert [line.split(",")[0] for line in lines[1:]] == ["1", "2", "3", "4", "5", "6"]


@pytest.mark.parametrize("typed", [(), ("train",)], ids=["bare", "train"])
@pytest.mark.usefixtures("no_pictures")
def test_runs_without_out_are_numbered(here: Path, program: str, typed: tuple) -> None:
    for number in (1, 2):
        result = succeed(program, *typed, *QUICK)
        assert result.out.endswith(f"of training; runs/{program}-digits-hidden-{number}\n")
        assert (here / "runs" / f"{program}-digits-hidden-{number}" / "last.safetensors").is_file()


def test_runs_that_start_together_get_separate_folders(here: Path) -> None:
    """Another process creates the folder between the search for a free number and its use."""
    assert RunFolder.new(None, "name").path == Path("runs/name-1")
    assert not (here / "runs").exists()
    taken = {RunFolder.new(None, "name", make=True).path for _ in range(3)}
    assert taken == {Path("runs/name-1"), Path("runs/name-2"), Path("runs/name-3")}


@pytest.mark.usefixtures("no_pictures")
def test_json_has_the_documented_fields(here: Path, program: str) -> None:
    result = succeed(program, "train", *QUICK, "--epochs", 2, "--out", "run", "--json", "result.json")
    report = json.loads((here / "result.json").read_text())
    assert {"schema", "backend", "config", "test_accuracy", "test_loss", "seconds", "history"} <= {*report}
    assert (report["schema"], report["backend"]) == (1, program)
    assert TrainConfig.from_json(report["config"]) == last(here / "run").config
    assert Architecture.from_json(report["architecture"]) == last(here / "run").architecture
    assert [[*row] for row in report["history"]] == [[*COLUMNS]] * 2
    assert report["history"] == RunFolder(here / "run").history()
    assert report["seconds"] == sum(row["seconds"] for row in report["history"])
    right = round(report["test_accuracy"] * 359)
    assert report["test_accuracy"] == right / 359
    reported = f"test accuracy {right / 359:.2%} ({right} of 359), loss {report['test_loss']:.4f}"
    assert result.out.splitlines()[-1].startswith(reported)


@pytest.mark.usefixtures("no_pictures")
def test_standard_output_contains_only_the_json(here: Path, program: str) -> None:  # `here` changes the folder
    result = succeed(program, "train", *QUICK, "--validation", 0, "--json", "-", "--arch", "edge")
    report = json.loads(result.out)
    assert report["history"][0]["validation_loss"] is None, "JSON has no NaN"
    assert "only classes 0-1 kept" in result.err
    assert "test accuracy" in result.err


@pytest.mark.usefixtures("no_pictures")
def test_results_go_to_standard_output_and_progress_to_standard_error(tmp_path: Path, program: str) -> None:
    result = fork("-c", WITHOUT_PICTURES, program, *QUICK, "--out", "there", cwd=tmp_path)
    assert result.code == 0, result.err
    first, second = result.out.splitlines()
    assert first.startswith("digits: 72 images to train, 8 to validate, 359 to test; hidden: 10714 parameters; ")
    assert second.startswith("test accuracy ")
    (line,) = result.err.splitlines()
    assert line.startswith("epoch 1/1  loss ")
    assert "\x1b" not in result.out + result.err

    # The flags alone decide the outcome, whatever Python's hash seed: this process gives the same result.
    succeed(program, "train", *QUICK, "--out", tmp_path / "here")
    there, here = last(tmp_path / "there"), last(tmp_path / "here")
    assert bits(there.parameters) == bits(here.parameters)
    assert bits(there.optimizer_state) == bits(here.optimizer_state)
    assert [row | {"seconds": 0} for row in there.history] == [row | {"seconds": 0} for row in here.history]
    assert history(tmp_path / "there") == history(tmp_path / "here")


def test_a_dry_run_writes_nothing(here: Path, program: str) -> None:
    result = succeed(program, "train", "--dry-run", "--out", "run", "--json", "result.json")
    assert "would train in run; nothing was written" in result.out
    assert "1294 images to train" in result.out
    assert list(here.iterdir()) == []


@pytest.mark.parametrize("dry", [(), ("--dry-run",)], ids=["train", "dry"])
def test_a_folder_with_a_run_is_not_overwritten(trained: dict[str, Path], program: str, dry: tuple) -> None:
    folder = trained[program]
    before = {file: file.read_bytes() for file in folder.iterdir()}
    message = error_of(program, "train", *QUICK, "--out", folder, *dry)
    assert message == f"--out {folder}: already contains a run; continue with --resume {folder}, or name another"
    assert {file: file.read_bytes() for file in folder.iterdir()} == before


@pytest.mark.usefixtures("no_pictures")
def test_a_folder_with_other_files_is_accepted(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    succeed("numpy_cnn", "train", *QUICK, "--out", tmp_path)
    assert (tmp_path / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    ("typed", "reported"),
    [
        (("--lr", "0.5"), "--lr 0.5 contradicts RUN, which was started with 0.002; omit --lr"),
        (("--arch", "simple"), "--arch simple contradicts RUN, which was started with hidden; omit --arch"),
        (
            ("--filters", "3"),
            "--filters 3 contradicts RUN, which was started without --filters; omit --filters",
        ),
        (("--data", "mnist"), "--data mnist contradicts RUN, which was started with digits; omit --data"),
        (("--batch-size", "7"), "--batch-size 7 contradicts RUN, which was started with 32; omit --batch-size"),
        (("--seed", "1"), "--seed 1 contradicts RUN, which was started with 0; omit --seed"),
        (("--limit", "9"), "--limit 9 contradicts RUN, which was started without --limit; omit --limit"),
        (("--optimizer", "sgd"), "--optimizer sgd contradicts RUN, which was started with adam"),
        (("--schedule", "constant"), "--schedule constant contradicts RUN, which was started with cosine"),
    ],
)
def test_a_flag_that_contradicts_the_run_is_reported_with_both_values(
    trained: dict[str, Path], program: str, typed: tuple, reported: str
) -> None:
    message = error_of(program, "train", "--resume", trained[program], *typed)
    assert message.startswith(reported.replace("RUN", str(trained[program])))


@pytest.mark.usefixtures("no_pictures")
def test_the_flags_of_the_run_may_be_repeated(tmp_path: Path) -> None:
    flags = (*QUICK, "--optimizer", "sgd", "--momentum", 0.9, "--nesterov")
    succeed("numpy_cnn", "train", *flags, "--out", tmp_path / "run")
    for again in (flags, (), ("--lr", "0.1")):  # 0.1 is sgd's default
        succeed("numpy_cnn", "train", *again, "--resume", tmp_path / "run")
    assert last(tmp_path / "run").config.optimization.nesterov

    succeed("numpy_cnn", "train", *QUICK, "--optimizer", "sgd", "--momentum", 0.9, "--out", tmp_path / "plain")
    message = error_of("numpy_cnn", "train", *flags, "--resume", tmp_path / "plain")
    assert message.startswith(f"--nesterov True contradicts {tmp_path / 'plain'}, which was started with False")
