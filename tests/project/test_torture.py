"""Crashes at some file operations of a run lose no data. `make torture` covers all operations."""

from __future__ import annotations

import sys
from functools import partial
from pathlib import Path

import pytest
from programs import ROOT

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no fork")


@pytest.mark.parametrize("kind", ["kill", "torn", "full", "read-only"])
def test_a_fault_while_a_run_is_written_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import torture

    monkeypatch.setattr("numpy_cnn.common.cli.train.draw_pictures", lambda *_: [])
    (tmp_path / "whole").mkdir()
    torture.succeed("numpy_cnn", *torture.TRAIN, folder=tmp_path / "whole")
    same = partial(torture.finished_as, "numpy_cnn", torture.fingerprint(tmp_path / "whole" / "run"))
    step = 2 if kind == "torn" else 12  # it affects the writes only
    events = [*torture.enumerated("numpy_cnn", torture.TRAIN, None, same, (kind,), step)]
    assert len(events) >= 3, "the faults did not reach the end of the run"
    assert any("ended" in event for event in events)


@pytest.mark.usefixtures("as_found")  # the processes are forked, so they do not search for a smaller case either
@pytest.mark.parametrize(("kind", "step"), [("torn", 1), ("full", 6)])
def test_a_fault_while_a_failure_is_saved_leaves_whole_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, step: int
) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    monkeypatch.chdir(tmp_path)
    import file_commands
    import torture

    (tmp_path / "layer.py").write_text(file_commands.LAYERS, encoding="utf-8")
    typed = ("check", "relu", "--impl", "layer.py:relu", "--examples", "2", "-x", "--json", "new.json")
    torture.succeed("parity", *typed, folder=tmp_path)
    again = partial(torture.repeated, "parity", typed, tmp_path)
    events = [*torture.enumerated("parity", typed, tmp_path, again, (kind,), step)]
    assert len(events) >= 2, "the faults have not covered the files"
