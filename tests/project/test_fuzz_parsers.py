"""A few mutated inputs for every parser; `make fuzz` tries 100,000 each."""

from __future__ import annotations

from pathlib import Path

import pytest
from programs import ROOT

NAMES = [
    "checkpoint",
    "idx",
    "idx.gz",
    "history",
    "saved case",
    "request",
    "picture",
    "impl",
    "settings",
    "weights",
]


@pytest.mark.parametrize("name", NAMES)
def test_mutated_input_gives_only_documented_errors(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.chdir(tmp_path)
    import fuzz

    assert [*fuzz.TARGETS] == NAMES
    seen = fuzz.fuzz(name, 100, seed=1, folder=tmp_path)
    assert seen["refused"] > 0
    assert seen["accepted"] > 0 or name == "idx.gz", "nothing valid was tried"


def test_the_command_tries_every_parser(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.chdir(tmp_path)
    import fuzz

    fuzz.main(["--inputs", "2"])
    assert [line[:12].rstrip() for line in capsys.readouterr().out.splitlines()] == NAMES
