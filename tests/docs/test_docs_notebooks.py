"""The notebooks run from top to bottom, and print the committed outputs.

The cells run in order in this process as plain Python, so Jupyter is not a dependency. Of a cell with nbval's tag,
whose numbers depend on the machine or on the drawn cases, the words are compared.
`jupyter execute --inplace docs/notebooks/*.ipynb` updates the outputs.
"""

from __future__ import annotations

import json
import re
import warnings
from contextlib import redirect_stdout
from io import StringIO
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from programs import ROOT

NOTEBOOKS = {path.stem: path for path in sorted((ROOT / "docs" / "notebooks").glob("*.ipynb"))}
VARIES = "nbval-ignore-output"


def printed(cell: dict[str, Any]) -> str:
    """The committed text output of a cell; figures are skipped."""
    return "".join("".join(output["text"]) for output in cell["outputs"] if output["output_type"] == "stream")


def words(text: str) -> list[str]:
    """The lines without numbers, up to those that depend on the drawn cases."""
    fixed = re.split(r"^  (?:case: |on a larger case|fails only)", text, maxsplit=1, flags=re.MULTILINE)[0]
    lines = [
        line for line in fixed.splitlines() if not line.startswith("  at ")
    ]  # Jupyter names a cell differently
    return [" ".join(re.sub(r"[-+\d.]*\d(e[-+]\d+)?", "0", line).split()) for line in lines]


def test_there_is_a_notebook_for_each_use() -> None:
    assert {*NOTEBOOKS} == {"develop_a_layer", "run_the_parity_suite", "train_both_backends"}


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_runs(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    from matplotlib import pyplot

    monkeypatch.chdir(ROOT)
    notebook = json.loads(NOTEBOOKS[name].read_text(encoding="utf-8"))
    cells = [cell for cell in notebook["cells"] if cell["cell_type"] == "code"]
    assert [cell["execution_count"] for cell in cells] == [*range(1, len(cells) + 1)], "not run from top to bottom"
    namespace: dict[str, Any] = {"__name__": "__main__"}
    # Warnings are not errors, as in a kernel: one of the layers overflows on purpose.
    with warnings.catch_warnings(), np.printoptions(), mpl.rc_context({"backend": "agg"}):
        warnings.simplefilter("default")
        try:
            for number, cell in enumerate(cells, start=1):
                source = "".join(cell["source"])
                with redirect_stdout(StringIO()) as out:
                    exec(compile(source, f"{name}.ipynb, cell {number}", "exec"), namespace)
                shown, expected = out.getvalue(), printed(cell)
                if VARIES in cell["metadata"].get("tags", []):
                    shown, expected = words(shown), words(expected)
                assert shown == expected, f"cell {number}:\n{source}"
        finally:
            pyplot.close("all")


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_notebook_is_small_and_contains_no_paths(name: str) -> None:
    text = NOTEBOOKS[name].read_text(encoding="utf-8")
    assert len(text) < 200_000
    assert "/home/" not in text
    assert '"output_type": "error"' not in text
    assert '"name": "stderr"' not in text
    notebook = json.loads(text)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            assert not cell.get("attachments")
