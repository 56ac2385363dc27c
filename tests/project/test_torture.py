"""Crashes at some file operations of a run lose no data. `make torture` covers all operations."""

from __future__ import annotations

import sys
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
    typed = (*torture.SMALL, "--epochs", str(torture.EPOCHS), "--out", "run")
    (tmp_path / "whole").mkdir()
    torture.succeed("numpy_cnn", *typed, folder=tmp_path / "whole")
    expected = torture.fingerprint(tmp_path / "whole" / "run")
    events = [*torture.enumerated("numpy_cnn", typed, None, expected, (kind,), step=12)]
    assert len(events) >= 3, "the faults did not reach the end of the run"
    assert any("ended" in event for event in events)
