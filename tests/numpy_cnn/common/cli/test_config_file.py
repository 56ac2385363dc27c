"""A run's settings as a TOML file, in and out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from programs import best, error_of, last, succeed

from numpy_cnn.common.cli import config_file
from numpy_cnn.common.cli.train import Train

pytestmark = pytest.mark.usefixtures("no_pictures")
SMALL = ("--limit", 80, "--batch-size", 20, "--filters", 2, "--hidden", 6)
SGD = ("--optimizer", "sgd", "--momentum", 0.9, "--nesterov", "--lr", 0.05)


def same_bits(one: Path, other: Path) -> bool:
    pairs = [(folder.parameters, folder.optimizer_state) for folder in (last(one), last(other))]
    return all(
        first.keys() == second.keys() and all(np.array_equal(first[name], second[name]) for name in first)
        for first, second in zip(*pairs, strict=True)
    )


@pytest.mark.parametrize("flags", [(), SGD, ("--patience", 1, "--seed", 7, "--image-size", 4, 8)])
def test_the_file_of_a_run_reproduces_it(program: str, flags: tuple, tmp_path: Path) -> None:
    succeed(program, *SMALL, *flags, "--epochs", 3, "--out", tmp_path / "one")
    settings = tmp_path / "one" / "run.toml"
    succeed(program, "--config", settings, "--out", tmp_path / "other")
    assert same_bits(tmp_path / "one", tmp_path / "other")
    assert settings.read_bytes() == (tmp_path / "other" / "run.toml").read_bytes()


def test_flags_override_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text('optimizer = "sgd"\nmomentum = 0.5\nnesterov = true\nepochs = 9\nseed = 3\n')
    succeed(
        "numpy_cnn",
        *SMALL,
        "--nesterov",
        "--epochs",
        1,
        f"--config={tmp_path / 'a.toml'}",
        "--out",
        tmp_path / "run",
    )
    config = best(tmp_path / "run").config
    assert (config.epochs, config.seed, config.batch_size) == (1, 3, 20)
    assert config.optimization.nesterov
    assert config.optimization.momentum == 0.5


def test_a_resumed_run_updates_its_file(tmp_path: Path) -> None:
    succeed("numpy_cnn", *SMALL, "--epochs", 1, "--out", tmp_path / "run")
    file = tmp_path / "run" / "run.toml"
    before = file.read_bytes()
    succeed("numpy_cnn", "--resume", tmp_path / "run")
    assert file.read_bytes() == before
    succeed("numpy_cnn", "--resume", tmp_path / "run", "--epochs", 2)
    text = file.read_text()
    assert "\nepochs = 2\n" in text
    assert "resumed, with --epochs 1 before" in text
    file.unlink()  # older versions wrote no such file
    succeed("numpy_cnn", "--resume", tmp_path / "run")
    assert config_file.read(file, Train).epochs == 2


@pytest.mark.parametrize("name", ['a"b\\c', "tab\there", "é\x7f", "new\nline"])
def test_every_path_survives_toml(name: str, tmp_path: Path) -> None:
    config = Train()
    config = Train(dataset=type(config.dataset)(data_dir=Path(name)))
    (tmp_path / "run.toml").write_bytes(config_file.to_toml(config, "two\nlines"))
    assert config_file.read(tmp_path / "run.toml", Train) == config


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"epochs = 0", "--epochs must be at least 1, got 0"),
        (b'epochs = "3"', "epochs: expected an integer, got '3'"),
        (b"learning-rate = 3", "unknown setting learning-rate: did you mean lr?"),
        (b"epcohs = 3", "unknown setting epcohs: did you mean epochs?"),
        (b'out = "run"', "out does not belong in the file: type --out"),
        (b"[optimization]\nlr = 1", "[optimization]: there are no sections; write the settings without one"),
        (b"lr = nan", "--lr must be between 0 and 1e+30, got nan"),
        (b"epochs 3", "not a TOML file ("),
        (b"\xff\xfe", "not a TOML file ("),
        (b"seed = " + b"[" * 100_000, "not a TOML file ("),
        (b"#" * 1_000_001, "larger than 1000000 bytes"),
        (None, "cannot be read (No such file or directory)"),
    ],
)
def test_a_mistake_in_the_file_gives_one_line(content: bytes | None, expected: str, tmp_path: Path) -> None:
    if content is not None:
        (tmp_path / "a.toml").write_bytes(content)
    message = error_of("numpy_cnn", "--config", tmp_path / "a.toml", "--dry-run")
    assert message.startswith(f"--config {tmp_path / 'a.toml'}: ")
    assert expected in message


def test_a_resumed_run_keeps_its_settings(tmp_path: Path) -> None:
    succeed("numpy_cnn", *SMALL, "--epochs", 1, "--out", tmp_path / "run")
    message = error_of("numpy_cnn", "--resume", tmp_path / "run", "--config", tmp_path / "run" / "run.toml")
    assert "exclude each other" in message


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ([], None),
        (["--config"], None),
        (["--epochs", "1"], None),
        (["--config", "a", "--config=b"], Path("b")),
        (["--seed", "1", "--config", "a"], Path("a")),
    ],
)
def test_the_file_is_found_among_the_arguments(typed: list[str], expected: Path | None) -> None:
    assert config_file.named_file(typed) == expected
