"""Run the commands in README.md and update their outputs.

    python docs/outputs.py            # rewrite README.md
    python docs/outputs.py --check    # exit code 1 if an output differs

A command is a line that starts with `$ ` in a fenced block; the lines below it are its output. A line `…` matches
any number of lines. Paths are relative. Times in seconds are not compared; in a block after the comment
`<!-- numbers depend on the machine -->`, no numbers are compared.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
_BLOCK = re.compile(
    r"(?P<varies><!-- numbers depend on the machine -->\n\n)?```\n(?P<text>\$ .*?)^```$", re.DOTALL | re.MULTILINE
)
_GAP = "…"


@dataclass(frozen=True)
class Command:
    """A command, its output on the page, and whether the numbers in the output may differ."""

    typed: str
    printed: str
    varies: bool


def commands(text: str) -> Iterator[list[Command]]:
    """Yield the commands of each block; the commands of one block run in the same folder."""
    for block in _BLOCK.finditer(text):
        parts = re.split(r"^\$ (.*)\n", block["text"], flags=re.MULTILINE)[1:]
        yield [
            Command(typed, printed, bool(block["varies"]))
            for typed, printed in zip(parts[::2], parts[1::2], strict=True)
        ]


def run(typed: str, folder: Path) -> str:
    """Return the output of the command at 80 columns; for training, including standard error (the epochs)."""
    environment = {name: value for name, value in os.environ.items() if name not in ("FORCE_COLOR", "CI")}
    environment |= {"COLUMNS": "80", "NO_COLOR": "1", "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
    environment |= {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8", "PYTHONUNBUFFERED": "1"}
    environment["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    if not (folder / "docs").exists():
        (folder / "docs").symlink_to(ROOT / "docs")
    done = subprocess.run(
        ["bash", "-c", typed],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL if " parity " in typed else subprocess.STDOUT,  # progress lines
        text=True,
        check=False,
        timeout=300,
    )
    return "\n".join(line.rstrip() for line in done.stdout.replace(str(ROOT), ".").splitlines()) + "\n"


def agrees(command: Command, printed: str) -> bool:
    """Whether the page shows this output, except for gaps and machine-dependent numbers."""
    lines = [re.escape(_plain(line, command.varies)) for line in command.printed.splitlines()]
    pattern = (
        "\n".join(lines)
        .replace(re.escape(_GAP) + "\n", r"(?:.*\n)*?")
        .replace("\n" + re.escape(_GAP), r"(?:\n.*)*?")
    )
    return (
        re.fullmatch(pattern, "\n".join(_plain(line, command.varies) for line in printed.splitlines())) is not None
    )


def _plain(line: str, varies: bool) -> str:
    line = re.sub(r"\d+(\.\d+)?( s\b)", r"0\2", line)
    if varies:
        line = re.sub(r"[ ]+", " ", re.sub(r"\d+(\.\d+)?(e[+-]\d+)?", "0", line))
    return line


def shown(command: Command, printed: str) -> str:
    """Return the output with as many lines before and after the gap as on the page."""
    before = command.printed.splitlines()
    if _GAP not in before or before == [_GAP]:
        return printed
    lines, at = printed.splitlines(), before.index(_GAP)
    tail = len(before) - at - 1
    return "\n".join([*lines[:at], _GAP, *lines[len(lines) - tail :]]) + "\n"


def main(arguments: list[str]) -> int:
    """Rewrite or check the page."""
    text = README.read_text(encoding="utf-8")
    stale = 0
    for block in commands(text):
        with tempfile.TemporaryDirectory() as folder:
            for command in block:
                printed = run(command.typed, Path(folder))
                if command.printed.strip() == _GAP or not agrees(command, printed):
                    stale += 1
                    print(f"{command.typed}: the output differs from the page", file=sys.stderr)
                    old, new = (
                        f"$ {command.typed}\n{part}" for part in (command.printed, shown(command, printed))
                    )
                    text = text.replace(old, new, 1)
    if "--check" in arguments:
        return 1 if stale else 0
    README.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
