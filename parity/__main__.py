"""`python -m parity`: run the parity suite, or check an implementation of your own."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

# Set before NumPy is imported: its threads would compete with PyTorch's, and the cases are small.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
# Hypothesis would load the plugins of all installed packages, such as trio, which takes a quarter of a second.
os.environ.setdefault("HYPOTHESIS_NO_PLUGINS", "1")

from numpy_cnn.common.cli import flags
from numpy_cnn.common.spec.errors import UserError
from parity.commands.guard import guarded


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return 0 (all agree), 1 (a failure), 2 (usage error or no case ran) or 130 (Ctrl-C)."""
    if arguments is not None:  # called by a program, which can look after its own process
        return flags.run("parity", lambda: _run(list(arguments)))
    typed = sys.argv[1:]
    # The outer run handles errors in the report on a process that ended, such as a full disk.
    return flags.run("parity", lambda: guarded(lambda: flags.run("parity", lambda: _run(typed)), typed))


def _run(arguments: list[str]) -> int:
    from parity.api.defaults import project_defaults, using
    from parity.commands.check import Check
    from parity.commands.list import List
    from parity.commands.merge import Merge
    from parity.commands.new import New
    from parity.commands.replay import Replay
    from parity.commands.self_test import SelfTest
    from parity.commands.storage import nothing_left_behind
    from parity.commands.train import Train
    from parity.commands.watch import Watch

    command, _ = flags.parse(
        "python -m parity",
        "Compare hand-written NumPy with PyTorch. By default all rows are checked.",
        {
            "check": Check,
            "replay": Replay,
            "merge": Merge,
            "train": Train,
            "list": List,
            "new": New,
            "watch": Watch,
            "self-test": SelfTest,
        },
        "check",
        arguments,
    )
    try:
        with nothing_left_behind(), using(project_defaults(Path.cwd())):
            return int(command.run())
    except ModuleNotFoundError as error:
        if error.name not in ("torch", "hypothesis", "jinja2"):
            raise
        raise UserError(f"parity needs {error.name}: pip install {error.name}") from error


if __name__ == "__main__":
    sys.exit(main())
