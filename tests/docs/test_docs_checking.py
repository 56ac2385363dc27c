"""The page on checking your own layers shows what its commands print when run in order.

The number of cases and the conditions of a failure depend on the speed of the machine and on the strategies. Lines
with such numbers are compared without the numbers; lines with conditions are not compared.
"""

import re
import shutil
from pathlib import Path

from programs import ROOT, typed

PAGE = (ROOT / "docs" / "checking-your-own-layers.md").read_text(encoding="utf-8")
LEARNT = (
    "  fails ",
    "        and only ",
    "  on this case ",
    "  independent of: ",
)  # depend on how many cases were run
COUNTED = re.compile(r"^  linear |which reproduces|cases, seed|^ *─+$|^ *(row|worst error) ")


def shown() -> list[tuple[str, list[str]]]:
    """(command, its output lines), in the page's order; commands without output are skipped."""
    found = []
    for block in re.findall(r"```console\n(.*?)```", PAGE, re.DOTALL):
        for command, lines in re.findall(r"^\$ python -m (parity .*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
            if lines:
                found.append((command, lines.splitlines()))
    return found


def stable(lines: list[str], home: Path) -> list[str]:
    """The lines that are the same on every machine: without counts and widths."""
    kept = []
    for line in lines:
        line = line.rstrip().replace(str(home), "/home/me")
        if line and not line.startswith(LEARNT):
            kept.append(" ".join(re.sub(r"\d[\d.]*|─+", "", line).split()) if COUNTED.search(line) else line)
    return kept


def test_the_page_shows_what_its_commands_print(tmp_path: Path) -> None:
    home = tmp_path.resolve()
    shutil.copytree(ROOT / "docs" / "examples", home / "docs" / "examples")
    layer = re.search(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert layer is not None
    source, commands = layer[1], shown()
    assert [command.split()[1] for command, _ in commands] == ["check", "check", "replay", "check"]
    for command, lines in commands:
        if command.startswith("parity replay"):  # the page: "With `mean` replaced by `sum`"
            assert "drows.mean(axis=0)" in source
            source = source.replace("drows.mean(axis=0)", "drows.sum(axis=0)")
        (home / "my_layers.py").write_text(source, encoding="utf-8")
        folder = [] if "my_layers" in command or "replay" in command else ["--failures", "elsewhere"]
        fewer = ["--examples", "50"] if " check " in command else []  # no number of cases is compared
        done = typed(" ".join(["python -m", command, *fewer, *folder]), home, width=140)
        printed, expected = stable(done.out.splitlines(), home), stable(lines, home)
        failing = any("disagreement" in line or line == "…" for line in expected)
        assert done.code == (1 if failing else 0), f"{done.out}\n{done.err}"
        if "…" in expected:  # the page omits lines before and after
            start = printed.index(expected[1])
            printed, expected = printed[start : start + len(expected) - 2], expected[1:-1]
        assert printed == expected, command
