"""The README and CONTRIBUTING are up to date: commands print what is shown, code runs, links and targets exist."""

from __future__ import annotations

import importlib.util
import re
import sys
from pathlib import Path

import pytest
from programs import ROOT, typed

README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")

_spec = importlib.util.spec_from_file_location("docs_outputs", ROOT / "docs" / "outputs.py")
assert _spec is not None
assert _spec.loader is not None
outputs = importlib.util.module_from_spec(_spec)
sys.modules["docs_outputs"] = outputs  # dataclasses look up their module
_spec.loader.exec_module(outputs)

BLOCKS = [*outputs.commands(README)]


def test_the_commands_are_found() -> None:
    typed = [command.typed for block in BLOCKS for command in block]
    assert len(typed) == README.count("\n$ ")
    assert len(typed) >= 6
    assert not [command.typed for block in BLOCKS for command in block if command.printed.strip() in ("", "…")]


def run(line: str, folder: Path) -> str:
    """Return what `outputs.run` returns, without starting a process for each command."""
    if not (folder / "docs").exists():
        (folder / "docs").symlink_to(ROOT / "docs")
    done = typed(line, folder, width=80, together=" parity " not in line)  # epochs go to standard error
    assert done.code in (0, 1), done.err
    return "\n".join(row.rstrip() for row in done.out.replace(str(ROOT), ".").splitlines()) + "\n"


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block[0].typed)
def test_a_command_prints_what_is_shown(block: list, tmp_path: Path) -> None:
    for command in block:
        # Fewer cases where no number is compared.
        fewer = " --examples 20" if command.varies and " check " in command.typed else ""
        printed = run(f"{command.typed}{fewer}", tmp_path)
        assert outputs.agrees(command, printed), f"$ {command.typed}\n{printed}"


@pytest.mark.parametrize(
    ("shown", "printed", "varies", "expected"),
    [
        ("a 1\n", "a 1\n", False, True),
        ("a 1\n", "a 2\n", False, False),
        ("a 1\n", "a 1\nb\n", False, False),
        ("a 1  x\n", "a 2e-3 x\n", True, True),
        ("a 1\n", "b 1\n", True, False),
        ("took 1.5 s\n", "took 2 s\n", False, True),
        ("a\n…\nz\n", "a\nb\nc\nz\n", False, True),
        ("a\n…\nz\n", "a\nz\n", False, True),
        ("a\n…\nz\n", "a\nb\n", False, False),
    ],
)
def test_outputs_are_compared(shown: str, printed: str, varies: bool, expected: bool) -> None:
    assert outputs.agrees(outputs.Command("", shown, varies), printed) is expected


@pytest.mark.parametrize("block", re.findall(r"```python\n(.*?)```", README, re.DOTALL), ids=["ops", "check"])
def test_code_runs(block: str) -> None:
    exec(compile(block, "README.md", "exec"), {"__name__": "readme"})


@pytest.mark.parametrize("text", [README, CONTRIBUTING], ids=["README", "CONTRIBUTING"])
def test_links_have_targets(text: str) -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert links
    assert all((ROOT / link).exists() for link in links), [x for x in links if not (ROOT / x).exists()]


def test_the_map_matches_the_tree() -> None:
    """Every folder and file in the map exists, and every room of the packages is listed."""
    tree = README.split("## What is where")[1].split("```")[1]
    named = set(re.findall(r"[\w/]+(?:/|\.py)(?=[\s:,;()]|$)", tree))
    roots = [ROOT, ROOT / "numpy_cnn", ROOT / "numpy_cnn" / "common", ROOT / "torch_cnn", ROOT / "parity"]
    assert not [name for name in named if not any((root / name).exists() for root in roots)]
    rooms = {path.parent for package in ("numpy_cnn", "parity") for path in (ROOT / package).glob("*/__init__.py")}
    rooms |= {path.parent for path in (ROOT / "numpy_cnn" / "common").glob("*/__init__.py")}
    assert not [room.name for room in rooms if not any(name.rstrip("/").endswith(room.name) for name in named)]


@pytest.mark.parametrize("text", [README, CONTRIBUTING], ids=["README", "CONTRIBUTING"])
def test_every_make_target_in_the_text_exists(text: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {
        word for words in re.findall(r"`make ([a-z ]+)`|^make ([a-z]+)", text, re.MULTILINE) for word in words
    }
    assert {word for words in named for word in words.split()} <= targets


def test_contributing_is_short_and_begins_with_an_op() -> None:
    lines = CONTRIBUTING.splitlines()
    assert len(lines) < 60
    assert next(line for line in lines if line.startswith("## ")) == "## Add an op"
