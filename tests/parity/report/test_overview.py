"""The overview: the verdict follows the name at every width, the worst row is first, no column is empty."""

import io
import re
from typing import Any

import numpy as np
import pytest
from rich.console import Console

import parity
from numpy_cnn import ops
from parity.cases.case import ArraySpec, Case
from parity.diagnosis.evidence import Comparison, Dependence
from parity.lanes.facts import CacheShared, Difference, DtypeChanged, Side, ValuesDiffer
from parity.report import Failure, Report, RowReport, pictures, sentences, terminal
from parity.report.coverage import Coverage
from parity.report.html import _tables

VALUES = ValuesDiffer(1, 4, (0,), 2.0, 1.0)


def printed(report: Report, width: int) -> list[str]:
    out = io.StringIO()
    Console(file=out, width=width).print(report.table())
    return [line.rstrip() for line in out.getvalue().splitlines() if line.strip()]


def failure(difference: Difference, row: str = "relu") -> Failure:
    return Failure(row, "exact", Case(row, ()), difference, sentences.diagnosis(difference))


def found(*differences: Difference, strict: bool = False, name: str = "relu", cases: int = 9) -> RowReport:
    row = RowReport(name, lanes={"exact": cases}, quantities={"output": 0.0}, strict=strict)
    for difference in differences:
        row.add(failure(difference, name))
    return row


WRONG = Difference("output", VALUES)
TIES = Difference("grad_input", VALUES, only="ties")
SPECIAL = Difference("grad_input", VALUES, only="special")
DTYPE = Difference("output", DtypeChanged("float64", "float32"))
MEMORY = Difference("grad_input", CacheShared())


@pytest.mark.parametrize("width", [140, 110, 80, 60, 40])
def test_the_verdict_follows_the_name_and_is_never_cut(width: int) -> None:
    rows = [found(name="conv_transpose2d"), found(WRONG, name="relu"), found(SPECIAL, name="gelu")]
    lines = printed(Report(rows, 0, 9), width)
    assert max(map(len, lines)) <= width
    for row, verdict in zip(rows, ("agrees", "wrong", "agrees, special"), strict=True):
        line = next(line for line in lines if line.split()[0] == row.name)
        assert line.split(row.name)[1].strip().startswith(verdict), line


def test_a_column_without_a_number_is_left_out() -> None:
    row = found()
    assert not any("mistrusted" in line for line in printed(Report([row], 0, 9), 140))
    row.mistrusted["exact"] = 3
    assert any("mistrusted" in line for line in printed(Report([row], 0, 9), 140))
    assert any("3 mistrusted" in line for line in printed(Report([row], 0, 9), 80))


def test_terms_are_defined_below_the_table() -> None:
    text = " ".join(printed(Report([found()], 0, 9), 80))
    assert "row: " in text
    assert "lane: " in text


def test_bit_identical_ops_have_no_error_column() -> None:
    report = parity.check("relu", examples=10)
    assert set(report.rows[0].quantities.values()) == {0.0}
    assert any(re.search(r"\berror 0(,|$)", line) for line in printed(report, 80)), printed(report, 80)
    assert [terminal.short(x) for x in (0.0, 0.123, 1.0)] == ["0", "0.12", "1"]


def test_only_wrong_and_conventions_fail_unless_strict() -> None:
    everything = (MEMORY, SPECIAL, TIES, DTYPE, WRONG)
    report = Report([found(*everything)], 0, 9)
    assert [f.verdict.value for f in report.failures] == ["wrong", "convention"]
    assert [f.verdict.value for f in report.notes] == ["special", "contract", "contract"]
    assert report.acceptable == ["ties", "special", "memory", "dtype"]
    assert str(report).splitlines()[-1].endswith("--accept ties special memory dtype")
    strict = Report([found(*everything, strict=True)], 0, 9)
    assert [f.verdict.value for f in strict.failures] == ["wrong", "convention", "special", "contract", "contract"]
    assert strict.notes == []
    assert Report([found(SPECIAL, DTYPE)], 0, 9).ok
    assert not Report([found(SPECIAL, strict=True)], 0, 9).ok


def test_accepted_findings_are_listed_separately() -> None:
    row = RowReport("relu", lanes={"exact": 1})
    row.add(failure(SPECIAL), {"special"})
    row.add(failure(WRONG), {"special", "values"})
    assert [f.difference for f in row.accepted] == [SPECIAL]
    assert [f.difference for f in row.failures] == [WRONG]


def test_the_worst_comes_first_over_all_rows() -> None:
    report = Report([found(TIES, name="relu"), found(WRONG, name="gelu")], 0, 9)
    assert [f.row for f in report.failures] == ["gelu", "relu"]
    assert str(report).startswith("gelu: wrong")


def test_a_row_without_cases_does_not_agree() -> None:
    report = Report([found(cases=0), found()], 0, 9)
    assert [row.verdict for row in report.rows] == ["not checked", "agrees"]
    assert not report.ok
    assert "not checked: relu" in report.verdict
    assert report.to_json()["rows"][0]["verdict"] == "not checked"


def test_schema_2() -> None:
    values = Report([found(WRONG, SPECIAL)], 0, 9).to_json()
    assert values["schema"] == 2
    (row,) = values["rows"]
    assert [(f["verdict"], f["fact"]["kind"]) for f in row["failures"]] == [("wrong", "ValuesDiffer")]
    assert [(f["verdict"], f["accept"]) for f in row["notes"]] == [("special", "special")]
    assert row["failures"][0]["fact"]["index"] == [0]


def comparison() -> Comparison:
    yours, torchs = np.arange(12.0).reshape(3, 2, 2), np.arange(12.0).reshape(3, 2, 2)
    yours[1, 0, 1] += 2
    return Comparison(yours, torchs, yours != torchs, (1, 0, 1), 0.0, 5.0)


def test_equal_entries_are_shown_as_a_dot() -> None:
    c = comparison()
    assert np.count_nonzero(c.difference) == 1
    lines = terminal.grid(c.difference, "yours − torch's", signed=True)
    assert " ".join(" ".join(lines).split()).count("·") == 11
    assert sum("+2" in line for line in lines) == 1
    nan = Comparison(np.array([np.nan, 1.0]), np.array([np.nan, 2.0]), np.array([False, True]), (1,), 0.0, 2.0)
    assert nan.difference.tolist() == [0.0, -1.0]


def test_tiles_of_a_heat_map_have_their_index_and_numbers() -> None:
    svg = pictures.heat_map(comparison())
    assert [f"<figcaption>[{i}]</figcaption>" in svg for i in range(4)] == [True, True, True, False]
    second = svg.split("<figure>")[2]
    assert 'class="off"' in second
    assert "[0, 1] yours 7, torch&#x27;s 5" in second
    assert svg.count('class="off"') == 1


def test_the_page_s_tables_have_their_titles() -> None:
    def negated(x: Any, w: Any, b: Any = None) -> Any:
        y, pullback = ops.linear(x, w, b)
        return y, lambda dy: (-pullback(dy)[0], *pullback(dy)[1:])

    (wrong,) = parity.check("linear", negated, examples=20, lanes=["exact"]).failures
    assert wrong.evidence is not None
    tables = {table["title"]: table for table in _tables(wrong)}
    assert [*tables][-3:] == ["grad_input, yours", "torch's", "yours − torch's"]
    c = wrong.evidence.comparison
    assert c is not None
    cells = [cell for block in tables["grad_input, yours"]["blocks"] for line in block for cell, _ in line]
    assert cells == [terminal.number(value) for value in c.yours.ravel().tolist()]


def test_few_failures_give_no_condition() -> None:
    assert sentences.dependence(Dependence(4, 4)) == [
        "in 4 of 4 random cases, which are too few to find a condition"
    ]
    assert "no simple property" in sentences.dependence(Dependence(50, 9))[0]
    assert sentences.dependence(Dependence(50, 50)) == ["in every one of 50 random cases"]
    assert sentences.dependence(Dependence(50, 0)) == []


@pytest.mark.parametrize(("side", "words"), [("implementation", "yours"), ("oracle", "torch's"), ("both", "both")])
def test_the_side_that_the_referee_contradicts_is_named(side: Side, words: str) -> None:
    wrong = failure(Difference("output", VALUES, side))
    assert terminal.who(wrong, comparison()).startswith(f"who is wrong: {words}; the correct value is 5,")


def test_the_notes_of_every_row_are_listed() -> None:
    rows = [found(DTYPE), found(name="gelu")]
    rows[0].declined["no bias"], rows[0].notes, rows[1].notes = 2, ["called as f(x)"], ["called as g(x)"]
    first, *others = terminal.notes_of(Report(rows, 0, 9))
    assert first.startswith("relu: contract: output: ")
    assert others == ["relu: 2 cases declined", "relu: called as f(x)", "gelu: called as g(x)"]


def test_a_scalar_is_counted_under_its_own_name() -> None:
    coverage = Coverage()
    for shape in ((), (2, 3), None):
        coverage.add(Case("relu", (ArraySpec("input", shape),)), None)
    assert coverage.ranges() == {
        "input": "None, scalar", "input axis 0": "2", "input axis 1": "3", "dtype": "float32"
    }  # fmt: skip
