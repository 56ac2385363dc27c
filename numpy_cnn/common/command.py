"""The command line that both backends share: `python -m numpy_cnn …` and `python -m torch_cnn …`."""

import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy_cnn.common.backend import Backend
from numpy_cnn.common.data.dataset import Dataset
from numpy_cnn.common.errors import UserError

if os.environ.get("NO_COLOR"):
    os.environ.setdefault("PYTHON_TYRO_ANSI_CODES", "0")  # tyro itself does not look at NO_COLOR


@dataclass(frozen=True)
class Program:
    """What differs between the two programs. The backend is loaded when needed: --help does without torch."""

    name: str
    backend: Callable[[], type[Backend]]
    load_mnist: Callable[[Path], Dataset]


def main(program: Program, arguments: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0 for done, 2 for a mistake of the user's, 130 for Ctrl-C."""
    try:
        command = _parse(program, list(sys.argv[1:] if arguments is None else arguments))
        return int(command.run(program))
    except UserError as error:
        return _fail(program, str(error))
    except KeyboardInterrupt:
        print(f"{program.name}: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # `… | head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        if error.filename is None:
            raise
        return _fail(program, f"{error.filename}: {error.strerror}")


def _parse(program: Program, arguments: list[str]) -> Any:
    import tyro

    from numpy_cnn.common.commands.evaluate import Evaluate
    from numpy_cnn.common.commands.plot import Plot
    from numpy_cnn.common.commands.predict import Predict
    from numpy_cnn.common.commands.summary import Summary
    from numpy_cnn.common.commands.train import Train

    commands: dict[str, Callable[..., Any]] = {
        "train": Train, "evaluate": Evaluate, "predict": Predict, "summary": Summary, "plot": Plot
    }  # fmt: skip
    if not arguments or arguments[0] not in (*commands, "-h", "--help"):
        arguments = ["train", *arguments]  # the command that may be left out

    def parse(kind: Callable[..., Any], **default: Any) -> Any:
        return tyro.cli(
            kind,
            prog=f"python -m {program.name} {arguments[0]}",
            args=arguments[1:],
            config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff),
            **default,
        )

    if arguments[0] not in commands:
        tyro.extras.subcommand_cli_from_dict(
            commands,
            prog=f"python -m {program.name}",
            description="Train and use a SimpleCNN. Without a command: train. Flags: <command> --help.",
            args=arguments,
        )
    command = parse(commands[arguments[0]])
    if isinstance(command, Train) and command.resume is not None:
        # Parsed again on top of what the run began with, so that only flags really typed can differ from it.
        command = command.resumed(lambda stored: parse(Train, default=stored))
    return command


def _fail(program: Program, message: str) -> int:
    print(f"{program.name}: error: {message}", file=sys.stderr)
    return 2
