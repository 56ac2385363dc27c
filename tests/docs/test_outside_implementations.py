"""Each command on the page about outside implementations prints what the page shows."""

import re
import shutil
from pathlib import Path

import pytest
from programs import ROOT, typed

PAGE = (ROOT / "docs" / "outside-implementations.md").read_text(encoding="utf-8")
SHOWN = [
    (command, lines.splitlines())
    for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL)
    for command, lines in re.findall(r"^\$ python -m (parity .*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)
]


def test_the_page_shows_five_implementations_and_three_mistakes() -> None:
    assert len(SHOWN) == 8
    assert sum("all agree" in line for _, lines in SHOWN for line in lines) == 5


@pytest.mark.parametrize(("command", "lines"), SHOWN, ids=[command.split()[4] for command, _ in SHOWN])
def test_the_command_prints_what_is_shown(command: str, lines: list[str], tmp_path: Path) -> None:
    if "c_relu" in command and shutil.which("cc") is None:
        pytest.skip("there is no C compiler, cc")
    if "scipy" in command:
        pytest.importorskip("scipy")
    done = typed(f"python -m {command} --failures {tmp_path}", ROOT / "docs" / "examples", width=140)
    agrees = any("all agree" in line for line in lines)
    assert done.code == (0 if agrees else 1), f"{done.out}\n{done.err}"
    printed = map(uncounted, done.out.splitlines())
    for line in map(uncounted, lines):  # in this order, with other lines between them
        assert line.strip() in ("…", "") or any(line == other for other in printed), f"{line!r}\n{done.out}"


def uncounted(line: str) -> str:
    """The text without the number of random cases, which depends on the machine's speed."""
    return re.sub(r"which reproduces all \d+", "which reproduces all", line)
