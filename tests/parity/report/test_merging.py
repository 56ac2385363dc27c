"""Shards run different cases; their reports merge into one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

import parity
from numpy_cnn.common.spec.errors import UserError
from parity.__main__ import main
from parity.api.shard import Shard
from parity.report.merging import merge


def wrong_relu(x):
    return abs(x), lambda dy: (dy,)


def reports(implementation: object = None) -> dict[str, dict]:
    given = {} if implementation is None else {"implementation": implementation}
    return {
        f"{i}.json": parity.check("relu", examples=25, shard=Shard(i, 3), lanes=["exact"], **given).to_json()
        for i in (1, 2, 3)
    }


def test_shards_add_up_to_the_run() -> None:
    assert [Shard(index, 3).examples(25) for index in (1, 2, 3)] == [8, 8, 9]
    merged = merge(reports())
    (row,) = merged["rows"]
    assert (merged["ok"], merged["shards"], row["cases"], row["verdict"]) == (True, 3, 25, "agrees")
    assert row["lanes"] == {"exact": {"cases": 25, "ok": True}}


def test_each_shard_has_a_fixed_seed() -> None:
    seeds = [Shard(index, 3).seed(0) for index in (1, 2, 3)]
    assert len({*seeds}) == 3
    assert seeds == [Shard(index, 3).seed(0) for index in (1, 2, 3)]
    assert Shard(1, 1).seed(7) == 7
    assert reports() == reports()


def test_a_failure_of_one_shard_fails_the_run() -> None:
    parts = reports()
    parts["2.json"] = reports(wrong_relu)["2.json"]
    merged = merge(parts)
    (row,) = merged["rows"]
    assert not merged["ok"]
    assert row["verdict"] == "wrong"
    assert row["failures"]
    assert not row["lanes"]["exact"]["ok"]


def test_reports_that_are_not_the_shards_of_one_run_are_rejected() -> None:
    parts = reports()
    with pytest.raises(UserError, match="each shard from 1/3 to 3/3 once, got 1/3, 3/3"):
        merge({name: parts[name] for name in ("1.json", "3.json")})
    with pytest.raises(UserError, match="got 1/3, 1/3, 3/3"):
        merge(parts | {"2.json": parts["1.json"]})
    with pytest.raises(UserError, match=r"2.json: seed 1, the first report has 0"):
        merge(parts | {"2.json": parts["2.json"] | {"seed": 1}})
    whole = parity.check("relu", examples=2, lanes=["exact"]).to_json()
    with pytest.raises(UserError, match="whole: the report of a whole run"):
        merge({"whole": whole})
    with pytest.raises(UserError, match="x: not a report"):
        merge({"x": {}})


@pytest.mark.parametrize("text", ["0/2", "3/2", "1", "a/b", "1/0", "-1/2"])
def test_an_invalid_shard_is_rejected(text: str) -> None:
    with pytest.raises(UserError, match="expected I/N"):
        Shard.parse(text)


def test_the_command_merges_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    files = []
    for name, report in reports().items():
        files.append(tmp_path / name)
        files[-1].write_text(json.dumps(report))
    assert main(["merge", *map(str, files), "--json", str(tmp_path / "all.json")]) == 0
    assert "25 cases from 3 shards, seed 0: all agree" in capsys.readouterr().out
    assert json.loads((tmp_path / "all.json").read_text())["ok"]
    files[0].write_text("{")
    assert main(["merge", *map(str, files)]) == 2
    assert f"{files[0]}: not JSON" in capsys.readouterr().err
