"""The same command gives the same report in every process, failures included."""

from __future__ import annotations

import shutil
from functools import partial
from pathlib import Path
from typing import Any

from programs import fork, spawn

import parity
from numpy_cnn import ops

WRONG = "import numpy as np\n\n\ndef relu(x):\n    return np.maximum(x, 0), lambda dy: (2 * dy * (x > 0),)\n"
CHECK = (
    "check",
    "relu",
    "--impl",
    "layer.py:relu",
    "--examples",
    "10",
    "--json",
    "report.json",
    "--html",
    "page.html",
)


def test_reports_and_saved_failures_do_not_depend_on_the_hash_seed(tmp_path: Path) -> None:
    (tmp_path / "layer.py").write_text(WRONG, encoding="utf-8")
    results = []
    for run in (fork, partial(spawn, PYTHONHASHSEED="1")):  # the first has a random seed
        result = run("-m", "parity", *CHECK, cwd=tmp_path)
        assert result.code == 1, result.err
        files = {path.relative_to(tmp_path): path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
        results.append((result.out, result.err, files))
        shutil.rmtree(tmp_path / ".parity")  # the failures
    assert results[0] == results[1]


def test_another_seed_draws_other_cases() -> None:
    def drawn(seed: int | None) -> list[Any]:
        seen = []

        def relu(x: Any) -> Any:
            seen.append(x.tolist())
            return ops.relu(x)

        assert parity.check("relu", relu, examples=3, lanes=["exact"], seed=seed).seed == (seed or 0)
        return seen

    first, again, other = drawn(7), drawn(7), drawn(8)
    assert first == again
    assert first != other
    assert drawn(None) == drawn(0)
