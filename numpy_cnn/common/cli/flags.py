"""Flags from dataclasses, by tyro: every field is a flag, and its docstring is the help text."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from functools import reduce
from operator import or_
from typing import Annotated, Any

from numpy_cnn.common.spec import streams
from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.spec.version import __version__

# The names that other programs use for these flags.
ELSEWHERE = {
    "arch": ("architecture", "model", "network", "net"),
    "batch-size": ("batch", "batchsize", "bs", "b", "train-batch-size", "per-device-train-batch-size"),
    "classes": ("num-classes", "n-classes", "nb-classes"),
    "data": ("dataset", "ds", "data-set"),
    "data-dir": ("data-path", "dataset-dir", "dataset-path", "data-root", "root", "dir"),
    "device": ("gpu", "cuda", "use-cuda", "use-gpu", "accelerator"),
    "epochs": ("num-epochs", "n-epochs", "nb-epochs", "max-epochs", "epoch", "num-train-epochs", "iterations"),
    "filters": ("num-filters", "n-filters", "out-channels", "output-channels"),
    "hidden": ("hidden-size", "hidden-dim", "hidden-units", "num-hidden"),
    "image-size": ("img-size", "imgsz", "input-size", "size"),
    "kernel-size": ("kernel", "filter-size"),
    "limit": ("max-samples", "num-samples", "subset", "max-train-samples", "n-samples"),
    "lr": ("learning-rate", "lr-rate", "base-lr", "learningrate", "learn-rate", "eta"),
    "optimizer": ("optim", "opt"),
    "out": ("output", "output-dir", "out-dir", "outdir", "save-dir", "save", "save-path", "log-dir", "logdir"),
    "patience": ("early-stopping", "early-stop", "earlystopping", "early-stopping-patience"),
    "resume": ("continue", "checkpoint", "ckpt", "weights", "load", "restore", "resume-from", "from-checkpoint"),
    "schedule": ("scheduler", "lr-scheduler", "lr-schedule", "sched"),
    "seed": ("random-seed", "random-state", "rng-seed"),
    "threads": ("num-threads", "n-threads", "cpus", "jobs", "n-jobs", "j"),
    "validation": (
        "val-split",
        "validation-split",
        "valid",
        "val",
        "val-size",
        "val-fraction",
        "val-ratio",
        "validation-ratio",
    ),
    "weight-decay": ("wd", "l2", "decay"),
}
# The same for commands.
COMMANDS_ELSEWHERE = {
    "evaluate": ("eval", "test", "validate", "val"),
    "predict": ("infer", "inference", "classify", "detect"),
    "train": ("fit", "run"),
    "demo": ("serve", "gui", "web"),
    "check": ("test", "verify", "compare"),
    "replay": ("rerun", "repeat"),
    "new": ("init", "create", "stub"),
}

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
        UserError: an unknown flag or command; the message names the nearest.
        SystemExit: `--help` was typed (0), or a value is of the wrong kind (2).
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
            f"unknown command {name!r}{nearest(name, commands, others=COMMANDS_ELSEWHERE)} "
            f"(commands: {', '.join(commands)})"
        )

    def read(**default: Any) -> Any:
        command, unknown = tyro.cli(
            commands[name],
            prog=f"{program} {name}",
            args=rest,
            return_unknown_args=True,
            registry=registry(),
            config=(tyro.conf.OmitArgPrefixes, tyro.conf.FlagCreatePairsOff, tyro.conf.HelptextFromCommentsOff),
            **default,
        )
        if unknown:
            flags = [flag.replace("_", "-") for flag in _flags(commands[name])]
            what = "option" if unknown[0].startswith("-") else "argument"
            near = nearest(unknown[0], flags, "--") if what == "option" else ""
            raise UserError(f"unknown {what} {unknown[0]}{near} ({name} --help lists all)")
        return command

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


def nearest(
    typed: str,
    known: Sequence[str] | Commands,
    prefix: str = "",
    others: Mapping[str, Sequence[str]] = ELSEWHERE,
) -> str:
    """ ": did you mean …?" for another program's name or a misspelt one; empty if no name is near."""
    name = typed.split("=")[0].lstrip("-").replace("_", "-").lower()
    meant = [one for one, names in others.items() if name in names and one in known]
    near = meant or get_close_matches(name, known, n=1, cutoff=0.75)
    return f": did you mean {prefix}{near[0]}?" if near else ""


def _listed(name: str, kind: Any) -> Any:
    """The type of a command for the list of all: described by the first line of its docstring."""
    import tyro

    return Annotated[kind, tyro.conf.subcommand(name, description=(kind.__doc__ or "").splitlines()[0])]


def _flags(kind: Any) -> list[str]:
    """The names of all fields, with nested dataclasses replaced by their fields."""
    names = []
    for field in fields(kind):
        group = field.default_factory
        names += _flags(group) if is_dataclass(group) else [field.name]
    return names
