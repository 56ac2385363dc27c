"""CONTRIBUTING's example works: applied to a copy of the project, it adds an op in two files."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest
from programs import ROOT

TEXT = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
FUNCTION, ROW = (
    dedent(block) for block in re.findall(r"^ +```python\n(.*?)^ +```", TEXT, re.DOTALL | re.MULTILINE)
)
OP, FAMILY = "numpy_cnn/ops/rectifiers.py", "parity/rows/activation.py"


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with the op of the example."""
    copy = tmp_path_factory.mktemp("project")
    for folder in ("numpy_cnn", "torch_cnn", "parity", "tests"):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "pyproject.toml", copy)
    op, family = copy / OP, copy / FAMILY
    text, added = re.subn(r"^__all__ = \[", '__all__ = ["hardtanh", ', op.read_text(encoding="utf-8"), flags=re.M)
    assert added == 1
    op.write_text(f"{text}\n\n{FUNCTION}", encoding="utf-8")
    rows = family.read_text(encoding="utf-8")
    assert rows.endswith("\n)\n"), "ROWS is the last statement of a family"
    family.write_text(f"{rows[:-2]}{ROW})\n", encoding="utf-8")
    return copy


def run(project: Path, *arguments: str) -> str:
    """Run a module in the copy, check that it succeeds, and return its output."""
    command = [sys.executable, "-m", *arguments]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_example_names_its_two_files_and_has_at_most_40_lines() -> None:
    assert f"`{OP}`" in TEXT
    assert f"`{FAMILY}`" in TEXT
    assert "hardtanh" not in (ROOT / OP).read_text(encoding="utf-8"), "the op is not new"
    assert len(FUNCTION.splitlines()) + len(ROW.splitlines()) + 1 <= 40  # and one line for __all__


def test_the_new_op_agrees_with_torch_in_every_lane(project: Path) -> None:
    out = run(project, "parity", "check", "hardtanh", "--examples", "10")
    assert re.search(r"hardtanh +agrees +40 cases", out), out
    assert "numpy_cnn.ops.hardtanh" in run(project, "pydoc", "numpy_cnn.ops.hardtanh")


def test_the_new_op_passes_the_tests_of_every_op(project: Path) -> None:
    files = """parity/rows/test_parity_suite parity/rows/test_strategies parity/bounds/test_bounds
        parity/commands/test_new numpy_cnn/ops/test_messages numpy_cnn/ops/test_rejections
        numpy_cnn/ops/test_docstrings"""
    tests = [f"tests/{file}.py" for file in files.split()]
    out = run(project, "pytest", *tests, "-k", "hardtanh or test_every")
    passed = re.search(r"(\d+) passed", out)
    assert passed is not None
    assert int(passed[1]) >= 12, out
