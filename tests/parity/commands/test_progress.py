"""The lines of progress contain what is known before a finding is classified."""

from parity.commands.progress import FirstVerdict, finding
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
