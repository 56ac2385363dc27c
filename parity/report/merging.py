"""Merge the JSON reports of the shards of one run."""

from collections.abc import Mapping, Sequence
from typing import Any

from numpy_cnn.common.spec.errors import UserError
from parity.lanes.facts import Verdict
from parity.lanes.trust import WEIGHED, too_few
from parity.report.objects import SCHEMA

Json = dict[str, Any]
LISTS = ("failures", "notes", "accepted", "remarks")


def merge(reports: Mapping[str, Json]) -> Json:
    """One report from those of all shards, {file: what `--json` wrote}.

    Cases are added, errors are the largest, failures and notes are collected, and each verdict follows from that.

    Raises:
        UserError: they are not the shards of one run, or a shard is missing or given twice.
    """
    first = next(iter(reports.values()))
    shards = [_shard(file, report) for file, report in reports.items()]
    for file, report in reports.items():
        for key in ("schema", "seed", "examples"):
            if report[key] != first[key]:
                raise UserError(f"{file}: {key} {report[key]}, the first report has {first[key]}: not one run")
        if [row["name"] for row in report["rows"]] != [row["name"] for row in first["rows"]]:
            raise UserError(f"{file}: its rows are not those of the first report: not one run")
    count = max(count for _, count in shards)
    if sorted(shards) != [(index, count) for index in range(1, count + 1)]:
        given = ", ".join(f"{index}/{count}" for index, count in shards)
        raise UserError(f"merge needs each shard from 1/{count} to {count}/{count} once, got {given}")
    rows = [_row(parts) for parts in zip(*(report["rows"] for report in reports.values()), strict=True)]
    merged = {"schema": SCHEMA, "ok": any(row["cases"] for row in rows) and all(row["ok"] for row in rows)}
    return merged | {"seed": first["seed"], "examples": first["examples"], "shards": len(shards), "rows": rows}


def _shard(file: str, report: Json) -> tuple[int, int]:
    if report.get("schema") != SCHEMA or not isinstance(report.get("rows"), list):
        raise UserError(f"{file}: not a report of `check --json` with schema {SCHEMA}")
    index, _, count = str(report.get("shard", "")).partition("/")
    if not (index.isdecimal() and count.isdecimal()):
        raise UserError(f"{file}: the report of a whole run; merge takes those of `check --shard I/N --json FILE`")
    return int(index), int(count)


def _row(parts: Sequence[Json]) -> Json:
    lanes = _summed([{lane: one["cases"] for lane, one in part["lanes"].items()} for part in parts])
    mistrusted = _summed([part["mistrusted"] for part in parts])
    lists = {key: [item for part in parts for item in part[key]] for key in LISTS}
    failures = sorted(lists["failures"], key=lambda failure: Verdict(failure["verdict"]).severity)
    failed = {failure["lane"] for failure in failures}
    vacuous = {lane for lane in lanes if lane in WEIGHED and _vacuous(lanes[lane], mistrusted.get(lane, 0))}
    cases = sum(lanes.values())
    verdict = (
        failures[0]["verdict"]
        if failures
        else "not checked"
        if not cases
        else "proves too little"
        if vacuous
        else "agrees"
    )
    return {
        "name": parts[0]["name"],
        "ok": verdict == "agrees",
        "verdict": verdict,
        "strict": parts[0]["strict"],
        "cases": cases,
        "lanes": {
            lane: {"cases": n, "ok": lane not in failed and lane not in vacuous} for lane, n in lanes.items()
        },
        "declined": _summed([part["declined"] for part in parts]),
        "mistrusted": mistrusted,
        "quantities": _worst([part["quantities"] for part in parts]),
        "coverage": _joined([part["coverage"] for part in parts]),
        **lists,
        "failures": failures,
    }


def _vacuous(cases: int, mistrusted: int) -> bool:
    return mistrusted > 0 and too_few(cases - mistrusted, cases)


def _summed(counts: Sequence[Mapping[str, int]]) -> dict[str, int]:
    return {key: sum(count.get(key, 0) for count in counts) for key in _keys(counts)}


def _worst(quantities: Sequence[Json]) -> Json:
    worst = "worst_fraction_of_bound"
    found = {name: [q[name][worst] for q in quantities if name in q] for name in _keys(quantities)}
    return {name: {worst: max(values, key=_order)} for name, values in found.items()}


def _order(fraction: float | str) -> float:
    number = float(fraction)  # NaN and inf are text in JSON
    return number if number == number else float("inf")


def _joined(coverage: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """Each shard's range, if they differ."""
    return {
        name: "; ".join(dict.fromkeys(part[name] for part in coverage if name in part)) for name in _keys(coverage)
    }


def _keys(parts: Sequence[Mapping[str, Any]]) -> list[str]:
    return list(dict.fromkeys(key for part in parts for key in part))
