"""Flags from dataclasses, by tyro: every field is a flag, and its docstring the help."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from typing import Any

from numpy_cnn.common.spec import streams
from numpy_cnn.common.spec.errors import UserError

Commands = Mapping[str, Callable[..., Any]]


def parse(
    program: str, description: str, commands: Commands, standard: str, arguments: Sequence[str]
) -> tuple[Any, Callable[[Any], Any]]:
    """Read a command and its flags; without a command the `standard` one is meant.

    Returns:
        the command, an instance of one of `commands`, and a function that reads the same flags again on top of
        another instance, so that one sees which were really typed.

    Raises:
        UserError: an unknown flag or command; the message names the nearest.
        SystemExit: help was asked for (0), or a value is of the wrong kind (2).
    """
    import tyro

    if arguments[:1] and arguments[0] in ("-h", "--help"):
        tyro.extras.subcommand_cli_from_dict(
            dict(commands), prog=program, description=description, args=["--help"]
        )
    named = bool(arguments) and not arguments[0].startswith("-")
    name, rest = (arguments[0], arguments[1:]) if named else (standard, arguments)
    if name not in commands:
        raise UserError(f"no command {name!r}{_nearest(name, commands)} (there are {', '.join(commands)})")

    def read(**default: Any) -> Any:
        command, unknown = tyro.cli(
            commands[name],
            prog=f"{program} {name}",
            args=rest,
            return_unknown_args=True,
            config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff, tyro.conf.HelptextFromCommentsOff),
            **default,
        )
        if unknown:
            flags = [f"--{flag.replace('_', '-')}" for flag in _flags(commands[name])]
            what = "option" if unknown[0].startswith("-") else "argument"
            raise UserError(f"unknown {what} {unknown[0]}{_nearest(unknown[0], flags)} ({name} --help tells all)")
        return command

    return read(), lambda default: read(default=default)


def run(program: str, command: Callable[[], int]) -> int:
    """Call `command` and report mistakes in one line: 2 for the user's, 130 for Ctrl-C, else what it returns."""
    streams.prepare()
    if os.environ.get("NO_COLOR"):
        # tyro does not look at NO_COLOR itself, and at this only once: before `command` imports it.
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
    except BrokenPipeError:  # `… | head` has read enough
        streams.discard(sys.stdout)
        return 0
    except MemoryError as error:
        return _fail(program, f"not enough memory: {error}")
    except OSError as error:
        what = error.strerror or str(error)
        if error.filename is None:
            streams.discard(sys.stdout)  # it may be the one that is full
        return _fail(program, what if error.filename is None else f"{error.filename}: {what}")


def _fail(program: str, message: str) -> int:
    streams.log(f"{program}: error: {' '.join(message.split())}")
    return 2


def _nearest(typed: str, known: Sequence[str] | Commands) -> str:
    near = get_close_matches(typed.split("=")[0], known, n=1, cutoff=0.5)
    return f": did you mean {near[0]}?" if near else ""


def _flags(kind: Any) -> list[str]:
    """The names of all fields, those of nested dataclasses in the place of their group."""
    names = []
    for field in fields(kind):
        group = field.default_factory
        names += _flags(group) if is_dataclass(group) else [field.name]
    return names
