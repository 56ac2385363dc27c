"""The command line that both backends share: `python -m numpy_cnn …` and `python -m torch_cnn …`."""

import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

from numpy_cnn.common.cli import flags
from numpy_cnn.common.cli.config_file import named_file
from numpy_cnn.common.cli.program import Program
from numpy_cnn.common.training.interrupt import SIGNALS

SIGNALLED = 128  # plus the number of the signal: 130 for Ctrl-C, 143 for SIGTERM


def main(program: Program, arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0 for success, 2 for a user error, 128 + number for a signal."""
    typed = list(sys.argv[1:] if arguments is None else arguments)
    code = flags.run(program.name, lambda: _run(program, typed))
    if arguments is None and code > SIGNALLED:
        for number in SIGNALS:
            signal.signal(number, signal.SIG_IGN)  # everything is saved: a second signal must not disturb the exit
    return code


def _run(program: Program, arguments: list[str]) -> int:
    from numpy_cnn.common.cli.demo import Demo
    from numpy_cnn.common.cli.evaluate import Evaluate
    from numpy_cnn.common.cli.export import Export
    from numpy_cnn.common.cli.import_weights import ImportWeights
    from numpy_cnn.common.cli.plot import Plot
    from numpy_cnn.common.cli.predict import Predict
    from numpy_cnn.common.cli.shift_study import ShiftStudy
    from numpy_cnn.common.cli.summary import Summary
    from numpy_cnn.common.cli.train import Train
    from numpy_cnn.common.cli.walkthrough import Walkthrough

    command, parse_again = flags.parse(
        f"python -m {program.name}",
        "Train and use a SimpleCNN. COMMAND --help lists the flags of a command.",
        {
            "train": Train,
            "evaluate": Evaluate,
            "predict": Predict,
            "export": Export,
            "import": ImportWeights,
            "summary": Summary,
            "plot": Plot,
            "demo": Demo,
            "shift-study": ShiftStudy,
            "walkthrough": Walkthrough,
        },
        "train",
        arguments,
        {"train": _configured},
    )
    if isinstance(command, Train) and command.resume is not None:
        command = command.resumed(parse_again)
    program.select_device(command.device)
    return int(command.run(program))


def _configured(arguments: Sequence[str], parse: Callable[[Any], Any]) -> Any | None:
    """The command `train` if `--config` is among its arguments."""
    from numpy_cnn.common.cli.train import Train

    path = named_file(arguments)
    return None if path is None else Train.configured(path, parse)
