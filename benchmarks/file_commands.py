"""The commands that write files, with small data, and the files that they read."""

import contextlib
import io
import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from commands import write_images
from PIL import Image

import numpy_cnn.__main__
import parity.__main__
import parity.exam.exam
import torch_cnn.__main__
from numpy_cnn.common.cli.main import main
from numpy_cnn.common.training import pictures

PROGRAMS: dict[str, Callable[[list[str]], int]] = {
    "numpy_cnn": partial(main, numpy_cnn.__main__.PROGRAM),
    "torch_cnn": partial(main, torch_cnn.__main__.PROGRAM),
    "parity": parity.__main__.main,
}
SMALL = ("--limit", "60", "--batch-size", "20", "--filters", "2", "--hidden", "4")
EPOCHS = 2
TRAIN: tuple[str, ...] = (*SMALL, "--epochs", str(EPOCHS), "--out", "run", "--json", "training.json")

# Commands that train nothing into `run`. Each runs twice before the faults, so that its files are replaced.
OF_BACKENDS: dict[str, tuple[str, ...]] = {
    "plot": ("plot", "run"),
    "predict": ("predict", "run", "one.png", "--show-input", "seen.png"),
    "plot --compare": ("plot", "run", "--compare", "curves.png"),
    "evaluate": ("evaluate", "run", "--json", "result.json", "--confusion", "confusion.png"),
    "export": ("export", "run", "plain.npz"),
    "export ONNX": ("export", "run", "network.onnx"),
    "import": ("import", "plain.npz", "imported.safetensors", *SMALL[-4:], "--data", "digits"),
    "walkthrough": ("walkthrough", "one.png", "--out", "sheet.png", "--html", "page.html", "--epochs", "1"),
    "walkthrough --arrays": ("walkthrough", "one.png", "--arrays", "arrays.npz", "--epochs", "1"),
    "shift-study": ("shift-study", "--data-dir", "mnist", "--epochs", "1", "--out", "study"),
}
CHECK = ("check", "relu", "--impl", "layer.py:relu", "--examples", "5", "--json", "report.json")
OF_PARITY: dict[str, tuple[str, ...]] = {
    "check": (*CHECK, "--html", "page.html"),
    "check --failures": (*CHECK, "--failures", "kept"),
    "shard": (*CHECK[:-1], "one.json", "--shard", "1/1"),
    "merge": ("merge", "one.json", "--json", "merged.json"),
    "replay": ("replay", "all"),
    "train": ("train", "--steps", "2", "--plot", "drift.png"),
    "self-test": ("self-test", "--row", "relu", "--examples", "2", "--json", "self-test.json"),
}
FORGET = ("replay", "all", "--failures", "kept", "--impl", "layer.py:right", "--forget")
LAYERS = """import numpy as np

def relu(x):
    return np.maximum(x, 0), lambda dy: (2 * dy * (x > 0),)

def right(x):
    return np.where(x > 0, x, 0 * x), lambda dy: (np.where(x > 0, dy, 0),)
"""


def prepare(program: str, folder: Path) -> dict[str, tuple[str, ...]]:
    """Write the files that a program's commands read, run each command once, and return the commands.

    After that, forked children have all imports loaded.
    """
    commands = OF_PARITY if program == "parity" else {"train": TRAIN} | OF_BACKENDS
    Image.fromarray(np.pad(np.zeros((30, 8), np.uint8), 20, constant_values=255)).save(folder / "one.png")
    (folder / "layer.py").write_text(LAYERS, encoding="utf-8")
    (folder / "mnist").mkdir()
    write_images(folder / "mnist", train=60, test=20)
    here = Path.cwd()
    os.chdir(folder)
    with contextlib.redirect_stderr(io.StringIO()), contextlib.redirect_stdout(io.StringIO()):
        for typed in commands.values():
            assert PROGRAMS[program]([*typed]) in (0, 1), typed
    os.chdir(here)
    return commands


def shorten() -> None:
    """Shorten what takes most of the time and writes no files.

    Plots of predictions show 2 images, and every `self-test` returns the outcomes of the first one.
    """
    pictures.SAMPLES = 2
    hold, outcomes = parity.exam.exam.hold, list[Any]()

    def held(*arguments: Any) -> Iterator[Any]:
        if not outcomes:
            outcomes.extend(hold(*arguments))
        yield from outcomes

    parity.exam.exam.hold = held
