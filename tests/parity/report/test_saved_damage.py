"""Damaged or malicious files of saved failures."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from parity.report.saved import read

CASE = {
    "row": "relu",
    "arrays": [{"name": "input", "shape": [2]}],
    "options": {},
    "dtype": "float32",
    "magnitude": 1,
    "seed": 2,
    "values": {"input": [1, 2], "dy": [1, 1]},
}
SAVED = {"schema": 1, "row": "relu", "lane": "exact", "quantity": "output", "diagnosis": "", "case": CASE}


def test_a_valid_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(SAVED))
    assert read(tmp_path / "a.json").case.to_json() == CASE


@pytest.mark.parametrize(
    "content",
    [
        "[" * 100_000,
        '{"schema": ' * 100_000,
        json.dumps(
            {**SAVED, "case": {**CASE, "values": {"input": [10**400, 1], "dy": [1, 1]}}}
        ),  # found by fuzzing
        json.dumps({**SAVED, "case": None}),
        json.dumps({**SAVED, "lane": "none"}),
        "9" * 5000,
    ],
    ids=["nested lists", "nested objects", "a number of 400 digits", "no case", "no such lane", "5,000 digits"],
)
def test_any_damage_raises_a_value_error_with_the_file_name(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(ValueError, match=r"a\.json: "):
        read(tmp_path / "a.json")
