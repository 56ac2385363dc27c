"""The commands from end to end: results, files, exit codes, and one line for every mistake."""

from __future__ import annotations

import contextlib
import gzip
import json
import os
import pty
import re
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from digit_pictures import draw
from mnist_files import idx_bytes, small_mnist, write_mnist
from PIL import Image
from programs import (
    HANG,
    OTHER,
    PROGRAMS,
    ROOT,
    WITHOUT_PICTURES,
    best,
    bits,
    call,
    environment,
    error_of,
    fork,
    history,
    last,
    spawn,
    succeed,
)

from numpy_cnn.common.cli import flags
from numpy_cnn.common.data import digits
from numpy_cnn.common.spec.architecture import Architecture
from numpy_cnn.common.spec.config import TrainConfig
from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.training.checkpoint import load_checkpoint, save_checkpoint
from numpy_cnn.common.training.history import COLUMNS
from numpy_cnn.common.training.run_folder import RunFolder

QUICK = ("--limit", 80, "--batch-size", 20, "--epochs", 1)
PICTURES = ["confusion_matrix.png", "learned_filters.png", "sample_predictions.png", "training_curves.png"]
COMMANDS = ["train", "evaluate", "predict", "export", "summary", "plot", "walkthrough", "demo", "shift-study"]


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working directory."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def checkpoint_of(folder: Path) -> Path:
    return RunFolder(folder).best


# Training


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


# Commands that use a checkpoint


def test_a_checkpoint_gives_the_same_answers_in_either_program(trained: dict[str, Path], program: str) -> None:
    path = checkpoint_of(trained[program])
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
    path = checkpoint_of(trained[program])
    result = succeed(program, "evaluate", path, "--json", tmp_path / "result.json")
    right = json.loads((tmp_path / "result.json").read_text())["correct"]
    assert result.out.startswith(f"{path}: accuracy {right / 359:.2%} ({right} of 359 test images), loss 0.")
    assert result.err == ""


def test_evaluate_refuses_images_of_another_size(trained: dict[str, Path], program: str) -> None:
    path = checkpoint_of(trained[program])
    message = error_of(program, "evaluate", path, "--data", "mnist")
    assert message == f"{path} reads images of 8x8 (digits), not those of mnist"


@pytest.mark.usefixtures("no_pictures")
def test_evaluate_lists_what_was_left_out(tmp_path: Path, program: str) -> None:
    succeed(program, "train", *QUICK, "--arch", "tiny", "--out", tmp_path / "run")
    out = succeed(program, "evaluate", tmp_path / "run" / "best.safetensors").out.splitlines()
    assert out[0] == "digits: images averaged 8x8 -> 4x4; only classes 0-1 kept (360 of 1797 images)"
    assert "of 48 test images" in out[1]


def test_predict_reads_pictures_in_either_program(trained: dict[str, Path], program: str, tmp_path: Path) -> None:
    pictures = [tmp_path / name for name in ("one.png", "two.jpg", "three.jpeg", "four.bmp")]
    for number, picture in enumerate(pictures):
        draw(picture, number)
    outputs = [succeed(name, "predict", checkpoint_of(trained[program]), *pictures) for name in PROGRAMS]
    assert outputs[0] == outputs[1]

    lines = outputs[0].out.splitlines()
    heads = [line for line in lines if not line.startswith(" ")]
    assert [head.rpartition(": ")[0] for head in heads] == [str(picture) for picture in pictures]
    for head in heads:
        row = lines[lines.index(head) + 1].split()
        assert row[0::2] == [f"{digit}:" for digit in range(10)]
        shares = [float(share.rstrip("%")) for share in row[1::2]]
        assert abs(sum(shares) - 100) < 0.1  # each is rounded to 0.01 %
        assert shares[int(head[-1])] == max(shares)


def test_predict_knows_most_digits_of_pictures(trained: dict[str, Path], tmp_path: Path) -> None:
    labels, pictures = [], []
    for number in range(30):
        pictures.append(tmp_path / f"{number}.png")
        labels.append(draw(pictures[-1], number))
    out = succeed("numpy_cnn", "predict", checkpoint_of(trained["numpy_cnn"]), *pictures).out
    said = [int(line[-1]) for line in out.splitlines() if not line.startswith(" ")]
    assert sum(map(int.__eq__, said, labels)) >= 20


def test_predict_uses_the_network_of_the_package_by_default(tmp_path: Path, program: str) -> None:
    out = succeed(program, "predict", ROOT / "docs" / "images" / "walkthrough_seven.png").out
    assert out.splitlines()[0].endswith("walkthrough_seven.png: 7")


def test_a_picture_that_cannot_be_read_does_not_stop_the_others(tmp_path: Path, program: str) -> None:
    seven, text = ROOT / "docs" / "images" / "walkthrough_seven.png", tmp_path / "text.png"
    text.write_text("seven")
    result = call(program, "predict", text, seven)
    assert result.code == 2
    assert result.out.splitlines()[0] == f"{seven}: 7"
    assert result.err.startswith(f"{program}: error: {text} is not an image")


@pytest.mark.usefixtures("no_pictures")
def test_predict_warns_when_the_network_is_unsure(tmp_path: Path, program: str) -> None:
    """A network trained with a step size of 0 is unsure; one with a large bias is not."""
    succeed(program, "train", *QUICK, "--lr", 0, "--out", tmp_path / "run")
    draw(tmp_path / "digit.png", 0)
    out = succeed(program, "predict", checkpoint_of(tmp_path / "run"), tmp_path / "digit.png").out.splitlines()
    shares = [float(share.rstrip("%")) for share in out[1].split()[1::2]]
    second = shares.index(sorted(shares)[-2])
    assert out[-1].startswith(f"  unsure: it may also be {second} (")

    sure = best(tmp_path / "run")
    sure.parameters["fc2.bias"][4] += 100
    save_checkpoint(tmp_path / "sure.safetensors", sure)
    out = succeed(program, "predict", tmp_path / "sure.safetensors", tmp_path / "digit.png").out.splitlines()
    assert out[0].endswith(": 4")
    assert len(out) == 2


@pytest.mark.usefixtures("no_pictures")
def test_scores_trained_with_squared_errors_are_printed_as_probabilities(tmp_path: Path, program: str) -> None:
    """Squared errors train scores towards 0 and 1; a softmax of these would call every answer unsure."""
    succeed(program, "train", *QUICK, "--arch", "tiny", "--out", tmp_path / "run")
    draw(tmp_path / "digit.png", 0)
    for scores, reported in (
        ((0, 1), ["0:  0.00%  1: 100.00%"]),
        ((0.75, 0.25), ["0: 75.00%  1: 25.00%", "unsure: "]),
    ):
        network = best(tmp_path / "run")
        network.parameters["fc1.weight"][:] = 0
        network.parameters["fc1.bias"][:] = scores
        save_checkpoint(tmp_path / "sure.safetensors", network)
        out = succeed(program, "predict", tmp_path / "sure.safetensors", tmp_path / "digit.png").out
        assert out.splitlines()[0].endswith(f": {scores.index(max(scores))}")
        assert [
            line.strip()[: len(start)] for line, start in zip(out.splitlines()[1:], reported, strict=True)
        ] == reported


def test_show_input_saves_the_input_of_the_network(trained: dict[str, Path], program: str, tmp_path: Path) -> None:
    pictures = [tmp_path / "one.png", tmp_path / "two.png"]
    for number, picture in enumerate(pictures):
        draw(picture, number)
    seen = tmp_path / "seen.png"
    succeed(program, "predict", checkpoint_of(trained[program]), *pictures, "--show-input", seen)
    with Image.open(seen) as image:
        assert image.size == (2 * 10 * 8, 10 * 8)
        pixels = np.asarray(image)[::8, ::8]
    assert pixels[1:9, 1:9].max() > 200  # light on dark, as in the data set
    assert (pixels[0] == 128).all()  # and a margin

    message = error_of(program, "predict", checkpoint_of(trained[program]), pictures[0], "--show-input", "x.what")
    assert message == "--show-input x.what: cannot be written (unknown file extension: .what)"


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


def test_summary_lists_layers_shapes_and_parameters(program: str) -> None:
    rows = [line.split("  ") for line in succeed(program, "summary", "--data", "mnist").out.splitlines()]
    table = [[cell.strip() for cell in row if cell.strip()] for row in rows]
    assert ["conv1", "8 x 26 x 26", "80"] in table
    assert ["fc1", "128", "173,184"] in table
    assert ["fc2", "10", "1,290"] in table
    assert ["in all", "174,554"] in table
    assert "9 (fixed)" in succeed(program, "summary", "--arch", "edge").out


# MNIST


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a small MNIST whose images are noise."""
    folder = tmp_path_factory.mktemp("mnist")
    write_mnist(folder / "MNIST" / "raw", small_mnist())
    return folder


@pytest.mark.usefixtures("no_pictures")
def test_training_on_mnist_stores_the_data_set(tmp_path: Path, program: str, small: Path) -> None:
    flags = ("--data", "mnist", "--epochs", 1, "--filters", 2, "--hidden", 4)
    result = succeed(program, "train", *flags, "--data-dir", small, "--out", tmp_path / "run")
    assert "mnist: 45 images to train, 5 to validate, 20 to test" in result.out
    path = checkpoint_of(tmp_path / "run")
    assert "of 20 test images" in succeed(program, "evaluate", path).out
    assert "of 20 test images" in succeed(OTHER[program], "evaluate", path, "--data-dir", small).out
    message = error_of(program, "evaluate", path, "--data-dir", tmp_path)
    assert message.startswith("MNIST: files are missing: expected train-images-idx3-ubyte, ")


@pytest.mark.usefixtures("no_pictures")
def test_both_programs_learn_the_real_mnist(tmp_path: Path, mnist_dir: Path) -> None:
    flags = ("--data", "mnist", "--data-dir", mnist_dir, "--limit", 1000, "--epochs", 3)
    reports = {}
    for name in PROGRAMS:
        out = succeed(name, "train", *flags, "--out", tmp_path / name, "--json", "-").out
        reports[name] = json.loads(out)
        assert reports[name]["test_accuracy"] > 0.8
        path = checkpoint_of(tmp_path / name)
        evaluated = json.loads(succeed(OTHER[name], "evaluate", path, "--json", "-").out)
        assert evaluated["correct"] == round(reports[name]["test_accuracy"] * 10_000)


def damaged(folder: Path, damage: str) -> str:
    """Damage one of the files; return the expected message."""
    arrays = small_mnist()
    files = write_mnist(folder, arrays)
    content = files.train_images.read_bytes()
    if damage == "truncated":
        files.train_images.write_bytes(content[:-1])
        return "expected 50x28x28 = 39200 bytes after the header, found 39199"
    if damage == "truncated gzip":
        files.train_images.unlink()
        files.train_images.with_suffix(".gz").write_bytes(gzip.compress(content)[:-9])
        return "expected gzip data, found damaged ones"
    if damage == "magic":
        files.train_images.write_bytes(b"\0\0\x08\x04" + content[4:])
        return "expected magic number 0x00000803"
    if damage == "missing":
        files.train_images.unlink()
        return "expected train-images-idx3-ubyte (plain or .gz) in"
    files.train_labels.write_bytes(idx_bytes(arrays["train_labels"][:-1]))
    return "contains 50 images and"


@pytest.mark.parametrize("damage", ["truncated", "truncated gzip", "magic", "missing", "length"])
def test_damaged_files_of_mnist_are_reported(tmp_path: Path, program: str, damage: str) -> None:
    reported = damaged(tmp_path, damage)
    message = error_of(program, "train", "--data", "mnist", "--data-dir", tmp_path, "--out", tmp_path / "run")
    assert reported in message
    assert str(tmp_path) in message
    assert not (tmp_path / "run").exists()


def test_a_missing_data_folder_is_reported_with_the_files(here: Path, program: str) -> None:
    message = error_of(program, "train", "--data", "mnist", "--data-dir", "nowhere")
    assert message.startswith("MNIST: no such folder: expected train-images-idx3-ubyte, ")
    assert "in nowhere/MNIST/raw; --download fetches them, --data-dir names another folder" in message


# Mistakes


@pytest.mark.parametrize(
    ("typed", "reported"),
    [
        (("--kernel-size", "20"), "conv1 needs at least 20 pixels, but has 8 (size 8, padding 0 on"),
        (("--stride", "-1"), "stride must be an integer of at least 1, got -1"),
        (("--stride", "0"), "stride must be an integer of at least 1, got 0"),
        (("--padding", "-2"), "padding must be an integer of at least 0, got -2"),
        (("--hidden", "-5"), "hidden must be an integer of at least 1, got -5"),
        (("--classes", "0"), "classes must be an integer of at least 1, got 0"),
        (("--channels", "3"), "--channels 3: the images of digits have 1"),
        (("--image-size", "5", "8"), "the network takes 5x8 images and digits has 8x8"),
        (("--arch", "edge", "--filters", "2"), "got 2 filters of 3x3 over 1 channels"),
        (("--batch-size", "0"), "--batch-size must be at least 1, got 0"),
        (("--epochs", "0"), "--epochs must be at least 1, got 0"),
        (("--seed", "-1"), "--seed must not be negative, got -1"),
        (("--limit", "0"), "cannot train on 0 images: the limit must be at least 1"),
        (("--limit", "1439"), "cannot take 1439 training images: digits has 1438"),
        (("--limit", "1"), "a validation fraction of 0.1 holds out 1 of 1 images"),
        (("--validation", "1"), "--validation must be in [0, 1), got 1.0"),
        (("--validation", "nan"), "--validation must be in [0, 1), got nan"),
        (("--lr", "-0.1"), "--lr must be between 0 and 1e+30, got -0.1"),
        (("--lr", "inf"), "--lr must be between 0 and 1e+30, got inf"),
        (("--weight-decay", "nan"), "--weight-decay must be between 0 and 1e+30, got nan"),
        (("--optimizer", "sgd", "--dampening", "inf"), "--dampening must be between -1e+30 and 1e+30, got inf"),
        (("--momentum", "0.9"), "--momentum belongs to --optimizer sgd or rmsprop, not adam"),
        (("--nesterov",), "--nesterov belongs to --optimizer sgd, not adam"),
        (("--schedule", "step"), "--schedule step needs a --step-size of at least 1 epoch, got None"),
        (("--gamma", "0.5"), "--step-size and --gamma belong to --schedule step, not cosine"),
        (("--betas", "0.9", "1"), "--betas must be in [0, 1), got 0.9 and 1.0"),
        (("--optimizer", "sgd", "--nesterov"), "--nesterov needs --momentum above 0 and --dampening 0, got 0.0"),
        (("--epoch", "3"), "unknown option --epoch: did you mean --epochs? (train --help lists all)"),
        (("--batchsize=3",), "unknown option --batchsize=3: did you mean --batch-size? (train --help lists all)"),
        (("--xyzzy",), "unknown option --xyzzy (train --help lists all)"),
        (("train", "again"), "unknown argument again (train --help lists all)"),
        (("trian",), "unknown command 'trian': did you mean train? (commands: train, evaluate, "),
        (("summary", "--filter", "3"), "unknown option --filter: did you mean --filters? (summary"),
        (("summary", "--kernel-size", "9"), "conv1 needs at least 9 pixels, but has 8"),
        (("evaluate", "none.safetensors"), "none.safetensors: no such checkpoint"),
        (("predict", "none.safetensors"), "predict: name at least one picture, as in: predict digit.png"),
        (("predict", "none.safetensors", "digit.png"), "none.safetensors: no such checkpoint"),
        (("predict", "none.pth", "digit.png"), "none.pth: no such checkpoint"),
        (("plot",), "plot: name at least one run folder"),
        (("plot", "nowhere"), "nowhere: no run found: there is no last.safetensors in it"),
        (("--resume", "nowhere"), "nowhere: no run found: there is no last.safetensors in it"),
        (("--out", "a", "--resume", "b"), "--out a and --resume b exclude each other"),
        (("--json", "nowhere/result.json"), "--json nowhere/result.json: there is no folder nowhere"),
        (("--json", "."), "--json .: that is a folder, not a file"),
        (("--filters", "1000000000000"), "not enough memory: Unable to allocate"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)  # fmt: skip
def test_a_mistake_gives_one_line(here: Path, program: str, typed: tuple[str, ...], reported: str) -> None:
    message = error_of(program, *typed) if "memory" not in reported else call(program, *typed).err
    assert reported in message
    assert "Traceback" not in message
    left = [path for path in here.rglob("*") if path.is_file()]
    assert left == []


@pytest.mark.parametrize(
    "typed",
    [("--lr", "x"), ("--lr",), ("--arch", "huge"), ("--image-size", "4"), ("--epochs", "1.5"), ("evaluate",)],
    ids=" ".join,
)
def test_a_value_of_the_wrong_kind_is_explained(program: str, typed: tuple[str, ...]) -> None:
    result = call(program, *typed)
    assert result.code == 2
    assert result.out == ""
    assert "Traceback" not in result.err
    assert typed[0].strip("-") in result.err


def test_a_file_that_is_not_an_image_is_reported(trained: dict[str, Path], program: str, tmp_path: Path) -> None:
    path = tmp_path / "letter.png"
    path.write_text("no image")
    message = error_of(program, "predict", checkpoint_of(trained[program]), path)
    assert message == f"{path} is not an image that can be read: a PNG or JPEG is expected"
    message = error_of(program, "predict", checkpoint_of(trained[program]), tmp_path / "none.png")
    assert message == f"cannot read the image {tmp_path / 'none.png'}: No such file or directory"


def test_a_folder_that_cannot_be_created_is_reported(here: Path, program: str) -> None:
    (here / "file").write_text("")
    assert error_of(program, "train", *QUICK, "--out", "file") == "--out file: that is a file, not a folder"
    result = call(program, "train", *QUICK, "--out", "file/run")
    assert (result.code, result.err) == (2, f"{program}: error: file/run: Not a directory\n")


def test_a_place_without_permission_is_reported(here: Path, program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.access", lambda path, mode: False)  # the tests may run as root
    message = error_of(program, "train", *QUICK, "--json", "result.json")
    assert message == "--json result.json: no permission to write it"
    assert list(here.iterdir()) == []


@pytest.mark.parametrize(
    "content",
    [
        "epoch,loss\n1,2\n",
        ",".join(COLUMNS) + "\n1,x,0,0,0,0\n",
        ",".join(COLUMNS) + "\n1,0,0,0\n",
        ",".join(COLUMNS) + "\nnan,0,0,0,0,0\n",
        ",".join(COLUMNS) + "\n2,0,0,0,0,0\n",
        b"\xff\xfe\0\0",
    ],
)
def test_a_corrupt_history_is_reported_if_an_older_checkpoint_needs_it(
    trained: dict[str, Path], program: str, tmp_path: Path, content: str | bytes
) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained[program], run)
    save_checkpoint(run / "last.safetensors", replace(last(run), history=None))
    (run / "history.csv").write_bytes(content if isinstance(content, bytes) else content.encode())
    before = bits(last(run).parameters)
    for arguments in (("plot", run), ("train", "--resume", run, "--epochs", 9)):
        message = error_of(program, *arguments)
        assert message.startswith(f"{run / 'history.csv'}: damaged; ")
    assert bits(last(run).parameters) == before


@pytest.mark.parametrize("torn", [b"7,0.1,0.9", b"7,0.1", b"\n7,x,,", b"\xff\xfe"[:1]])
@pytest.mark.usefixtures("no_pictures")
def test_a_torn_row_after_the_epoch_of_an_older_checkpoint_is_dropped(
    trained: dict[str, Path], program: str, tmp_path: Path, torn: bytes
) -> None:
    run = tmp_path / "run"
    shutil.copytree(trained[program], run)
    save_checkpoint(run / "last.safetensors", replace(last(run), history=None))
    before = (run / "history.csv").read_bytes()
    (run / "history.csv").write_bytes(before + torn)
    succeed(program, "train", "--resume", run)
    assert (run / "history.csv").read_bytes() == before


def test_a_checkpoint_of_another_architecture_is_reported(
    trained: dict[str, Path], program: str, tmp_path: Path
) -> None:
    whole = best(trained[program])
    wrong = replace(whole, architecture=replace(whole.architecture, filters=4))
    save_checkpoint(tmp_path / "wrong.safetensors", wrong)
    reported = f"{tmp_path / 'wrong.safetensors'}: parameters of another architecture: conv1.weight has the shape"
    for arguments in (("evaluate",), ("predict", "x.png")):
        command, *rest = arguments
        assert error_of(program, command, tmp_path / "wrong.safetensors", *rest).startswith(reported)


@pytest.mark.usefixtures("no_pictures")
def test_a_full_disk_is_reported_and_the_run_can_continue(
    tmp_path: Path, program: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(descriptor: int, content: memoryview) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        result = call(program, "train", *QUICK, "--out", tmp_path / "run")
    assert result.code == 2
    assert result.err.splitlines()[-1].endswith("run.toml: cannot be written (No space left on device)")
    assert "Traceback" not in result.err
    succeed(program, "train", *QUICK, "--out", tmp_path / "run")


def test_torch_cnn_without_torch_names_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch_cnn.__main__.find_spec", lambda name: None)
    for arguments in (("train", *QUICK, "--dry-run", "--data", "mnist"),):
        message = error_of("torch_cnn", *arguments)
        assert message == "PyTorch is not installed: pip install torch torchvision"


def test_errors_of_a_command_give_one_line_and_an_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    def raises(error: BaseException):
        def command() -> int:
            raise error

        return command

    cases = [
        (UserError("two\nlines"), 2, "p: error: two lines\n"),
        (KeyboardInterrupt(), 130, "p: interrupted\n"),
        (MemoryError("8 GiB"), 2, "p: error: not enough memory: 8 GiB\n"),
        (PermissionError(13, "Permission denied", "file"), 2, "p: error: file: Permission denied\n"),
        (OSError(28, "No space left on device"), 2, "p: error: No space left on device\n"),
        (OSError("odd"), 2, "p: error: odd\n"),
    ]
    for error, code, reported in cases:
        assert flags.run("p", raises(error)) == code
        assert capsys.readouterr().err == reported
    with pytest.raises(ZeroDivisionError):  # a bug in the program keeps its traceback
        flags.run("p", raises(ZeroDivisionError()))


# Processes


def test_help_is_quick(program: str, tmp_path: Path) -> None:
    """Prints the help of every command in one process, which must not import a slow library."""
    runner = (
        "import runpy, sys\n"
        f"for command in ([], *([name] for name in {COMMANDS!r})):\n"
        f"    sys.argv = [{program!r}, *command, '--help']\n"
        "    try:\n"
        f"        runpy.run_module({program!r}, run_name='__main__', alter_sys=True)\n"
        "    except SystemExit as stop:\n"
        "        print('\\ncode', stop.code)\n"
        "print(sorted({name.partition('.')[0] for name in sys.modules}))\n"
    )
    result = spawn("-c", runner, cwd=tmp_path)
    *pages, loaded = result.out.split("\ncode 0\n")
    assert len(pages) == 1 + len(COMMANDS), result.err
    for command, page in zip(("", *COMMANDS), pages, strict=True):
        assert page.startswith(f"usage: python -m {program} {command}".rstrip())
    for name in COMMANDS:
        assert f"• {name} " in pages[0]
    assert "numpy_cnn" in loaded
    slow = ("torch", "torchvision", "matplotlib", "hypothesis", "sklearn")
    assert not [name for name in slow if f"'{name}'" in loaded]


def on_a_terminal(*arguments: str, cwd: Path, **changes: str) -> str:
    """Everything that `python -m numpy_cnn`, without pictures, writes to a terminal."""
    ours, its = pty.openpty()
    variables = environment(TERM="xterm-256color", **changes)
    process = subprocess.Popen([sys.executable, "-c", WITHOUT_PICTURES, "numpy_cnn", *arguments],
                               cwd=cwd, env=variables, stdin=its, stdout=its, stderr=its)  # fmt: skip
    os.close(its)
    reported = b""
    with contextlib.suppress(OSError):  # Linux raises when the other end is closed
        while part := os.read(ours, 4096):
            reported += part
    os.close(ours)
    process.wait(timeout=HANG)
    return reported.decode()


@pytest.mark.parametrize(
    "arguments",
    [("--help",), ("plot", "--help"), ("--lr", "x"), ("--arch", "tiny", "--epochs", "1", "--out", "run")],
    ids=" ".join,
)
def test_a_terminal_gets_colours_unless_they_are_disabled(arguments: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "loud").mkdir()
    loud = on_a_terminal(*arguments, cwd=tmp_path / "loud")
    quiet = on_a_terminal(*arguments, cwd=tmp_path, NO_COLOR="1")
    colour = re.compile(r"\x1b\[[0-9;]*(3[0-8]|9[0-7])[0-9;]*m")
    if arguments not in [("--help",), ("--lr", "x")]:  # these short texts have no colours
        assert colour.search(loud)
    assert not colour.search(quiet)
    assert "Traceback" not in loud + quiet


@pytest.mark.parametrize("arguments", [("summary",), ("--help",), ("evaluate", "CHECKPOINT")], ids=lambda a: a[0])
def test_a_reader_that_closes_the_pipe_early_is_not_an_error(
    arguments: tuple[str, ...], trained: dict[str, Path], tmp_path: Path
) -> None:
    path = str(checkpoint_of(trained["numpy_cnn"]))
    typed = [path if argument == "CHECKPOINT" else argument for argument in arguments]
    process = subprocess.Popen(
        [sys.executable, "-m", "numpy_cnn", *typed],
        cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    process.stdout.close()
    assert process.stderr.read() == ""
    process.stderr.close()
    assert process.wait(timeout=HANG) == 0
