"""The lines of progress contain what is known before a finding is classified."""

import pytest

from parity.commands.progress import ENOUGH, FirstVerdict, Lines, finding
from parity.lanes.facts import Difference, DtypeChanged, ValuesDiffer

VALUES = ValuesDiffer(1, 2, (0,), 1.0, 2.0)
WRONG = Difference("grad_input", VALUES)
SPECIAL = Difference("output", VALUES, only="special")
DTYPE = Difference("output", DtypeChanged("float64", "float32"))


def test_only_a_difference_of_finite_numbers_is_one_from_torch() -> None:
    assert finding([WRONG, SPECIAL]) == "grad_input, output differs from torch"
    assert finding([SPECIAL]) == "a finding of the kind special in output"
    assert finding([DTYPE, SPECIAL]) == "a finding of the kind contract and special in output"


def test_watch_does_not_report_a_note_as_a_disagreement() -> None:
    verdict = FirstVerdict(0.0)
    verdict.found("special", [SPECIAL])
    assert not verdict.printed
    verdict.found("exact", [WRONG])
    assert verdict.printed


def test_a_slow_lane_reports_its_cases_so_far(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines("conv2d", silence=0)
    for _ in range(ENOUGH + 1):
        lines.case("exact")
    lines.found("exact", [WRONG])
    lines.case("exact")
    assert capsys.readouterr().err.splitlines() == [
        f"conv2d: exact lane: {ENOUGH} cases agree so far",
        f"conv2d: exact lane: {ENOUGH + 1} cases agree so far",
        "conv2d: exact lane: grad_input differs from torch, looking for the smallest case",
    ]


def test_lines_follow_after_twice_the_time(capsys: pytest.CaptureFixture[str]) -> None:
    lines = Lines("conv2d", silence=3600)
    lines.printed -= 3601
    for _ in range(2 * ENOUGH):
        lines.case("exact")
    assert lines.silence == 7200
    assert capsys.readouterr().err == f"conv2d: exact lane: {ENOUGH} cases agree so far\n"
