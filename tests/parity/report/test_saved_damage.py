"""Files of saved failures that are damaged, or made to do harm."""

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


def test_the_valid_one_is_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(SAVED))
    assert read(tmp_path / "a.json").case.to_json() == CASE


@pytest.mark.parametrize(
    "content",
    [
        "[" * 100_000,
        '{"schema": ' * 100_000,
        json.dumps({**SAVED, "case": {**CASE, "values": {"input": [10**400, 1], "dy": [1, 1]}}}),  # found by fuzz
        json.dumps({**SAVED, "case": None}),
        json.dumps({**SAVED, "lane": "none"}),
        "9" * 5000,
    ],
    ids=["nested lists", "nested objects", "a number of 400 digits", "no case", "no such lane", "5,000 digits"],
)
def test_any_damage_is_a_value_error_with_the_name_of_the_file(tmp_path: Path, content: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(ValueError, match=r"a\.json: "):
        read(tmp_path / "a.json")
