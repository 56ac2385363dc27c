"""Robust use of the standard streams, which may be closed, full, or have a limited encoding."""

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
    """Make printing safe; call this before printing or opening any file."""
    codecs.register_error("plain", _plain)
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(
                os.devnull, os.O_RDWR
            )  # takes the lowest free descriptor, which a checkpoint would get otherwise
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:  # closed before Python started
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  # until the process ends
        elif isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="plain")


def log(message: str) -> None:
    """Print to standard error; ignore write errors."""
    try:
        print(message, file=sys.stderr, flush=True)
    except OSError:
        discard(sys.stderr)


def discard(stream: TextIO) -> None:
    """Discard pending and further output of the stream; Python would try to write it again at exit."""
    with contextlib.suppress(OSError, ValueError):  # not a file, so Python retries nothing
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def _plain(error: UnicodeError) -> tuple[str, int]:
    """Characters that the encoding lacks, in ASCII; `?` for those without a usual replacement."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    text = error.object[error.start : error.end].translate(_PLAIN)
    return "".join(character if character.isascii() else "?" for character in text), error.end
