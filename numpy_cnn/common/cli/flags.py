"""Flags from dataclasses, by tyro: every field is a flag, and its docstring is the help text."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from operator import or_
from typing import Annotated, Any

from numpy_cnn.common.cli import elsewhere, mistakes
from numpy_cnn.common.spec import streams
from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.spec.version import __version__

Commands = Mapping[str, Callable[..., Any]]
Special = Callable[[Sequence[str], Callable[[Any], Any]], Any | None]


def parse(
    program: str,
    description: str,
    commands: Commands,
    standard: str,
    arguments: Sequence[str],
    special: Mapping[str, Special] | None = None,
) -> tuple[Any, Callable[[Any], Any]]:
    """Read a command and its flags.

    Args:
        program: as the user types it.
        description: the first line of --help.
        commands: the dataclass of each command, by its name.
        standard: the command if none is typed.
        arguments: those of the command line.
        special: for a command, a function that receives its arguments and the function that reads them on top of
            another instance; it may return the command itself, or None.

    Returns:
        the command, an instance of one of `commands`, and a function that reads the same flags again on top of
        another instance, which shows which of them were typed.

    Raises:
        UserError: an unknown flag or command, with the nearest one, or a value of the wrong kind.
        SystemExit: `--help` was typed.
    """
    import tyro

    from numpy_cnn.common.cli.values import registry

    if arguments[:1] and arguments[0] in ("-h", "--help"):
        choice: Any = reduce(or_, [_listed(name, kind) for name, kind in commands.items()])
        tyro.cli(choice, default=commands[standard](), prog=program, description=description, args=["--help"])
    if arguments and arguments[0] == "--version":
        print(f"{program.split()[-1]} {__version__}")
        raise SystemExit(0)
    named = bool(arguments) and not arguments[0].startswith("-")
    name, rest = (arguments[0], arguments[1:]) if named else (standard, arguments)
    if name not in commands:
        raise UserError(
            f"unknown command {name!r}{elsewhere.nearest(name, commands, others=elsewhere.COMMANDS)} "
            f"(commands: {', '.join(commands)})"
        )

    mistakes.check(name, commands[name], rest)

    def read(**default: Any) -> Any:
        return tyro.cli(
            commands[name],
            prog=f"{program} {name}",
            args=rest,
            registry=registry(),
            config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff, tyro.conf.HelptextFromCommentsOff),
            **default,
        )

    def parse_again(default: Any) -> Any:
        return read(default=default)

    command = special[name](rest, parse_again) if special and name in special else None
    return read() if command is None else command, parse_again


def run(program: str, command: Callable[[], int]) -> int:
    """The exit code of `command`; user errors are reported in one line (2), and so is Ctrl-C (130)."""
    streams.prepare()
    if os.environ.get("NO_COLOR"):
        # tyro ignores NO_COLOR, and reads this variable once, when `command` imports it.
        os.environ["PYTHON_TYRO_ANSI_CODES"] = "False"
    try:
        try:
            return command()
        finally:
            sys.stdout.flush()  # here, where an error can still be handled
    except UserError as error:
        return _fail(program, str(error))
    except KeyboardInterrupt:
        streams.log(f"{program}: interrupted")
        return 130
    except BrokenPipeError:  # `… | head` closed the pipe
        streams.discard(sys.stdout)
        return 0
    except SystemExit as stop:
        if isinstance(stop.__context__, BrokenPipeError):  # rich exits if the pipe is closed
            return 0
        raise
    except MemoryError as error:
        return _fail(program, f"not enough memory: {error}")
    except OSError as error:
        what = error.strerror or str(error)
        if error.filename is None:
            streams.discard(sys.stdout)  # it may be on the full disk
        return _fail(program, what if error.filename is None else f"{error.filename}: {what}")


def _fail(program: str, message: str) -> int:
    streams.log(f"{program}: error: {' '.join(message.split())}")
    return 2


def _listed(name: str, kind: Any) -> Any:
    """The type of a command for the list of all: described by the first line of its docstring."""
    import tyro

    return Annotated[kind, tyro.conf.subcommand(name, description=(kind.__doc__ or "").splitlines()[0])]
