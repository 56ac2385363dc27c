"""The standard streams, whatever the caller made of them: closed, full, or of a narrow encoding."""

import codecs
import contextlib
import io
import os
import sys
from typing import TextIO

_PLAIN = str.maketrans(
    {
        "→": "->", "←": "<-", "−": "-", "–": "-", "—": "-", "…": "...", "≤": "<=", "≥": ">=", "≈": "~", "≠": "!=",
        "·": "*", "×": "x", "±": "+-", "√": "sqrt", "∞": "inf", "²": "^2", "½": "1/2", "γ": "gamma", "ε": "eps",
        "λ": "lambda", "μ": "mu", "β": "beta", "τ": "tau", "Σ": "sum", "Δ": "delta", "‖": "||", "‘": "'", "’": "'",
        "“": '"', "”": '"', "✓": "ok", "✗": "x", "•": "*", "█": "#", "━": "-", "─": "-", "│": "|",
    }
)  # fmt: skip


def prepare() -> None:
    """Make printing safe; to be called before anything is printed and before any file is opened."""
    codecs.register_error("plain", _plain)
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # takes the lowest free number, which otherwise a checkpoint would get
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed before Python started
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  # until the process ends
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="plain")


def log(message: str) -> None:
    """Print to standard error; where nobody can read it, the work goes on."""
    try:
        print(message, file=sys.stderr, flush=True)
    except OSError:
        discard(sys.stderr)


def discard(stream: TextIO) -> None:
    """Drop what the stream could not write and all that follows; Python would try again when it exits."""
    with contextlib.suppress(OSError, ValueError):  # not a file: there is nothing to try again
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _plain(error: UnicodeError) -> tuple[str, int]:
    """Characters that the encoding lacks, in ASCII; `?` for those without a usual replacement."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(_PLAIN)
    return "".join(character if character.isascii() else "?" for character in text), error.end
