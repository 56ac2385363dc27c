"""No command prints a traceback, whatever is wrong with its standard streams and its environment.

    python benchmarks/streams.py [PROGRAM …] [--only COMMAND …]

Each command of `file_commands.py` runs with closed and full streams, broken pipes, encodings without most
characters, a limited file size, a deleted working directory, and without a home and a temporary folder. It must
end with an exit code of its own: 0, 1 or 2.
"""

import argparse
import contextlib
import io
import os
import resource
import shutil
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

from file_commands import PROGRAMS, prepare, shorten

ENCODINGS = ("ascii", "latin-1", "cp1252", "cp037")  # the last one is EBCDIC
WITHOUT_FILES = {
    "--help": ("--help",),
    "--version": ("--version",),
    "unknown command": ("trian",),
    "unknown flag": ("--sede", "3"),
    "missing file": ("replay", "nowhere.json"),
}


def close(*numbers: int) -> None:
    for number in numbers:
        os.close(number)


def fill(*numbers: int) -> None:
    full = os.open("/dev/full", os.O_WRONLY)
    for number in numbers:
        os.dup2(full, number)


def break_pipe(*numbers: int) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    for number in numbers:
        os.dup2(writer, number)


def limit_files(size: int) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, size))


def delete_folder() -> None:
    shutil.rmtree(Path.cwd())


def hide(*variables: str) -> None:
    for variable in variables:
        os.environ[variable] = "/nowhere"
    tempfile.tempdir = None


STATES: dict[str, Callable[[], None]] = {
    "all streams closed": partial(close, 0, 1, 2),
    "standard input closed": partial(close, 0),
    "standard output closed": partial(close, 1),
    "standard error closed": partial(close, 2),
    "standard output full": partial(fill, 1),
    "both full": partial(fill, 1, 2),
    "standard output a broken pipe": partial(break_pipe, 1),
    "both broken pipes": partial(break_pipe, 1, 2),
    "no file may grow": partial(limit_files, 0),
    "files of 3,000 bytes": partial(limit_files, 3000),
    "deleted working directory": delete_folder,
    "no home and no temporary folder": partial(hide, "HOME", "TMPDIR", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"),
}


def attempt(
    program: str, typed: tuple[str, ...], folder: Path, spoil: Callable[[], None], encoding: str = "utf-8"
) -> tuple[int, str]:
    """Run a command in a child process; return its exit code, and its output with a traceback, if there is one."""
    with tempfile.TemporaryFile() as shown, tempfile.TemporaryFile() as raised:
        sys.stdout.flush()
        child = os.fork()
        if child == 0:
            _child(program, [*typed], folder, spoil, encoding, shown.fileno(), raised.fileno())
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        shown.seek(0)
        raised.seek(0)
        return code, (shown.read() + raised.read()).decode(errors="replace")


def _child(
    program: str, typed: list[str], folder: Path, spoil: Callable[[], None], encoding: str, shown: int, raised: int
) -> None:
    code = 70
    try:
        os.chdir(folder)
        os.dup2(shown, 1)
        os.dup2(shown, 2)
        spoil()
        for name, number in (("stdout", 1), ("stderr", 2)):
            setattr(sys, name, _stream(number, encoding))
        try:
            code = PROGRAMS[program](typed)
        except SystemExit as stop:  # --help, and values of the wrong kind
            code = stop.code if isinstance(stop.code, int) else 1
        sys.stdout.flush()  # as Python does at its end
    except BaseException:
        code = 70
        os.write(raised, traceback.format_exc().encode())
    finally:
        os._exit(code)


def _stream(number: int, encoding: str) -> io.TextIOWrapper | None:
    """The stream as Python opens it when it starts: None if the descriptor is closed."""
    try:
        os.fstat(number)
    except OSError:
        return None
    errors = "strict" if number == 1 else "backslashreplace"
    raw = io.BufferedWriter(io.FileIO(number, "w", closefd=False))
    return io.TextIOWrapper(raw, encoding=encoding, errors=errors, line_buffering=number == 2)


def attempts(program: str, only: list[str], home: Path) -> Iterator[str]:
    """Try all commands in all states; return the name of each try.

    Raises:
        AssertionError: one ended with a traceback, or with another exit code than 0, 1 and 2.
    """
    commands = prepare(program, home)
    commands = {**commands, "train": ("--resume", "run", "--epochs", "4")} if program != "parity" else commands
    tries = [(name, spoil, "utf-8") for name, spoil in STATES.items()]
    tries += [(encoding, partial(close), encoding) for encoding in ENCODINGS]
    for name, typed in (commands | WITHOUT_FILES).items():
        for state, spoil, encoding in tries if not only or name in only else ():
            with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
                folder = shutil.copytree(home, Path(temporary) / "folder")
                code, output = attempt(program, typed, folder, spoil, encoding)
            assert code in (0, 1, 2), (program, typed, state, code, output)
            assert "Traceback" not in output, (program, typed, state, output)
            yield f"{name}, {state}"


if __name__ == "__main__":
    flags = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    flags.add_argument("programs", nargs="*", choices=[*PROGRAMS, []], help="all if omitted")
    flags.add_argument("--only", nargs="+", default=[], help="commands, such as train, predict, check")
    arguments = flags.parse_args()
    shorten()
    for program in arguments.programs or PROGRAMS:
        with tempfile.TemporaryDirectory() as temporary, contextlib.suppress(KeyboardInterrupt):
            count = 0
            for _ in attempts(program, arguments.only, Path(temporary)):
                count += 1
            print(f"{count:6d}  {program}: no traceback", flush=True)
