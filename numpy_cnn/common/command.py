"""The command line that both backends share: `python -m numpy_cnn …` and `python -m torch_cnn …`."""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from numpy_cnn.common import flags
from numpy_cnn.common.backend import Backend
from numpy_cnn.common.data.dataset import Dataset


@dataclass(frozen=True)
class Program:
    """What differs between the two programs. The backend is loaded when needed: --help does without torch."""

    name: str
    backend: Callable[[], type[Backend]]
    load_mnist: Callable[[Path], Dataset]


def main(program: Program, arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0 for done, 2 for a mistake of the user's, 130 for Ctrl-C."""
    typed = list(sys.argv[1:] if arguments is None else arguments)
    return flags.run(program.name, lambda: _run(program, typed))


def _run(program: Program, arguments: list[str]) -> int:
    from numpy_cnn.common.commands.evaluate import Evaluate
    from numpy_cnn.common.commands.plot import Plot
    from numpy_cnn.common.commands.predict import Predict
    from numpy_cnn.common.commands.summary import Summary
    from numpy_cnn.common.commands.train import Train

    command, parse_again = flags.parse(
        f"python -m {program.name}",
        "Train and use a SimpleCNN. The command may be left out: train is meant. Its flags: train --help.",
        {"train": Train, "evaluate": Evaluate, "predict": Predict, "summary": Summary, "plot": Plot},
        "train",
        arguments,
    )
    if isinstance(command, Train) and command.resume is not None:
        command = command.resumed(parse_again)
    return int(command.run(program))
