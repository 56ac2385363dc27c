"""The tables of `make mutation`, built from mutmut's output; no mutants are run here, which takes minutes."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest
from programs import ROOT

TOLD = {
    ("results", "--all", "true"): """
    numpy_cnn.chain.x_chain__mutmut_1: killed
    numpy_cnn.chain.x_chain__mutmut_2: survived
    numpy_cnn.ops.loss.x__reduced__mutmut_1: timeout
    numpy_cnn.optim.xǁAdamǁstep__mutmut_1: survived
""",
    ("show", "numpy_cnn.chain.x_chain__mutmut_2"): """# numpy_cnn.chain.x_chain__mutmut_2: survived
--- numpy_cnn/chain.py
+++ numpy_cnn/chain.py
@@ -24,3 +24,3 @@
     for name in names:
-        y = f(x, strict=False)  # why
+        y = f(x, strict=None)  # why
     return y
""",
    ("show", "numpy_cnn.optim.xǁAdamǁstep__mutmut_1"): """
-        t += 1
+        t = 1
""",
}
EXPLAINED = """
[[equivalent]]
function = "chain.chain"
line = "y = f(x, strict=False)"
becomes = ["y = f(x, strict=None)"]
reason = "None is as false as False"
"""
STALE = EXPLAINED.replace("chain.chain", "chain.other")


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """benchmarks/mutation/run.py after a run, with its own page and explanation."""
    spec = importlib.util.spec_from_file_location("mutation_run", ROOT / "benchmarks" / "mutation" / "run.py")
    assert spec is not None
    assert spec.loader is not None
    run = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "mutation_run", run)
    spec.loader.exec_module(run)
    monkeypatch.setattr(run, "_mutmut_output", lambda *arguments: TOLD[arguments])
    monkeypatch.setattr(run, "HERE", tmp_path)
    monkeypatch.setattr(run, "COPY", tmp_path)
    monkeypatch.setattr(run, "PAGE", tmp_path / "page.md")
    run.PAGE.write_text("before\n<!-- tables: make mutation -->\nold\n<!-- /tables -->\nafter\n")
    (tmp_path / "mutants").mkdir()
    (tmp_path / "mutants" / "killed.tsv").write_text(
        "numpy_cnn.chain.x_chain__mutmut_1\tbenchmarks/mutation/killers.py::test_row[20-relu-exact]\n"
    )
    (tmp_path / "equivalent.toml").write_text(EXPLAINED)
    return run


def test_an_unexplained_survivor_is_reported(run: ModuleType, capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["--reuse"]) == 1
    shown = capsys.readouterr().out
    assert "1 unexplained (survived)" in shown
    assert 'function = "optim.Adam.step"\nline = "t += 1"\nbecomes = ["t = 1"]\nreason = ""' in shown
    assert "| `chain.py` | 2 | 1 | 1 | 0 | 50.0% | 100.0% |" in shown
    assert "| **all** | 4 | 2 | 1 | 1 | 50.0% | 66.7% |" in shown
    assert "| the exact lane | 1 |" in shown
    assert "| None is as false as False | `chain.chain` | 1 |" in shown
    page = run.PAGE.read_text()
    assert page.startswith("before\n<!-- tables: make mutation -->\n\n| Module")
    assert page.endswith("|\n\n<!-- /tables -->\nafter\n")
    assert "old" not in page


def test_an_explanation_without_a_survivor_is_reported(
    run: ModuleType, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    step = '[[equivalent]]\nfunction = "optim.Adam.step"\nline = "t += 1"\nbecomes = ["t = 1"]\nreason = "none"\n'
    (tmp_path / "equivalent.toml").write_text(EXPLAINED + step)
    assert run.main(["--reuse"]) == 0
    (tmp_path / "equivalent.toml").write_text(EXPLAINED + step.replace("t = 1", "…"))
    assert run.main(["--reuse"]) == 0
    (tmp_path / "equivalent.toml").write_text(EXPLAINED + step + STALE)
    assert run.main(["--reuse"]) == 1
    assert "explained, but no survivor: chain.other" in capsys.readouterr().out
