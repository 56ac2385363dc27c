"""Planted bugs: each is a change of the row's op × the results that it reaches."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from parity.cases.op import Op
from parity.exam.call import Change
from parity.exam.sources import MET_IN
from parity.lanes.facts import Aspect
from parity.naming.sentences import LANES, SENTENCES
from parity.rows.registry import ROWS

# The aspects of a mistake. A crash is not included: a bug that merely raises does not count as found.
IN_NUMBERS: frozenset[Aspect] = frozenset({"values", "form", "ties", "special"})
BY_LANE: frozenset[Aspect] = frozenset({"purity", "memory", "dtype", "invalid"})

QUANTITIES = {"y": "output", "dx": "grad_input", "dw": "grad_weight", "db": "grad_bias", "dt": "grad_target"}
QUANTITIES |= {"rm": "running_mean", "rv": "running_var"}
SYMBOLS = {
    *QUANTITIES,
    "dy",
    "x²",
    "ε",
    "β₁",
    "log(softmax(x)):",
}  # a sentence that begins with one is not capitalized


@dataclass(frozen=True)
class Planted:
    """An implementation with one plausible mistake."""

    row: str
    name: str  # unique in the whole catalogue
    description: str  # one sentence: what is wrong
    op: Op
    explanations: frozenset[str]  # the right names; empty: no known name fits
    reaches: frozenset[str] = frozenset()  # the quantities that it makes wrong; empty: any

    @property
    def source(self) -> str:
        """The issue that reports it in another project, or empty."""
        return MET_IN.get(self.name, "")

    @property
    def aspects(self) -> frozenset[Aspect]:
        """The aspects in which it must be found."""
        lane = bool(self.explanations) and self.explanations <= LANES.keys()
        return BY_LANE if lane else IN_NUMBERS


@dataclass(frozen=True)
class Correct:
    """An implementation that is correct and computes in another way."""

    row: str
    name: str
    description: str
    op: Op


PLANTED: list[Planted] = []
CORRECT: list[Correct] = []


def plant(
    row: str, name: str, explained: str, change: Change, reach: str = "", description: str = "", **values: Any
) -> None:
    """Plant a mistake.

    Args:
        row: the row whose op is changed.
        name: a unique name.
        explained: the right names, separated by spaces; the sentence of the first is the default description.
        change: turns the right op into the wrong one.
        reach: the results that it makes wrong, such as "dx dw"; empty: any.
        description: what is wrong, if the sentence of the first name is not specific enough.
        values: values for the placeholders of that sentence.
    """
    names, places = explained.split(), reach.split()
    where = f"In {_joined(places)}, " if places else ""
    text = description or f"{where}{SENTENCES[names[0]].format(**values)}."
    text = text if text.split()[0] in SYMBOLS else text[0].upper() + text[1:]
    op = change(ROWS[row].op, tuple(place for place in places if place not in ("rm", "rv")))
    reaches = frozenset(QUANTITIES[place] for place in places)
    PLANTED.append(Planted(row, name, text, op, frozenset(names), reaches))


def _joined(words: list[str]) -> str:
    return " and ".join(part for part in (", ".join(words[:-1]), words[-1]) if part)


def planted(name: str) -> Op:
    """The op of a bug, for use as a layer of a network."""
    return next(bug.op for bug in PLANTED if bug.name == name)


def alike(row: str, name: str, description: str, change: Change) -> None:
    """Add a changed op that is still correct."""
    CORRECT.append(Correct(row, name, description, change(ROWS[row].op, ())))


def correct(row: str) -> Callable[[Op], Op]:
    """Add a correct implementation; the entry takes its name and its docstring."""

    def add(op: Op) -> Op:
        CORRECT.append(Correct(row, op.__name__.replace("_", "-"), " ".join((op.__doc__ or "").split()), op))
        return op

    return add
