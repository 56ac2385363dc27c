"""Commands survive broken standard streams. `benchmarks/streams.py` covers all commands."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from programs import ROOT

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="needs fork and /dev/full")


def test_no_state_of_the_streams_causes_a_traceback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import file_commands
    import streams

    monkeypatch.setattr(file_commands, "OF_PARITY", {"list": ("list",), "new": ("new", "relu")})
    events = [*streams.attempts("parity", ["list", "new", "--help", "unknown command"], tmp_path)]
    assert len(events) == 4 * (len(streams.STATES) + len(streams.ENCODINGS))


def test_a_traceback_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import streams

    def broken(_: list[str]) -> int:
        print("result → 1")
        return 0

    monkeypatch.setitem(streams.PROGRAMS, "parity", broken)
    code, output = streams.attempt("parity", (), tmp_path, lambda: None, "ascii")
    assert code == 70
    assert "UnicodeEncodeError" in output
