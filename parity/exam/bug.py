"""What a planted bug is, and how one is written down: a change of the row's op × the results that it reaches."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from parity.cases.torch_op import Op
from parity.exam.call import Change
from parity.exam.sources import MET_IN
from parity.lanes.facts import Aspect
from parity.naming.sentences import LANES, SENTENCES
from parity.rows.registry import ROWS

# How a mistake shows. A crash is none of these: a bug that merely raises is not found as it was written down.
IN_NUMBERS: frozenset[Aspect] = frozenset({"values", "form", "ties", "special"})
BY_LANE: frozenset[Aspect] = frozenset({"purity", "memory", "dtype", "invalid"})

QUANTITIES = {"y": "output", "dx": "grad_input", "dw": "grad_weight", "db": "grad_bias", "dt": "grad_target"}
QUANTITIES |= {"rm": "running_mean", "rv": "running_var"}
SYMBOLS = {*QUANTITIES, "dy", "x²", "ε", "log(softmax(x)):"}  # a sentence that begins with one gets no capital


@dataclass(frozen=True)
class Planted:
    """An implementation with one mistake that somebody could make, and often has made."""

    row: str
    name: str  # unique in the whole catalogue
    says: str  # one sentence: what is wrong
    op: Op
    explanations: frozenset[str]  # each is a right name for it; none: only its place can be found
    reaches: frozenset[str] = frozenset()  # the quantities that it makes wrong; none: any

    @property
    def source(self) -> str:
        """Where it was met outside this catalogue: an issue, or empty."""
        return MET_IN.get(self.name, "")

    @property
    def aspects(self) -> frozenset[Aspect]:
        """How it has to show."""
        lane = bool(self.explanations) and self.explanations <= LANES.keys()
        return BY_LANE if lane else IN_NUMBERS


@dataclass(frozen=True)
class Correct:
    """An implementation that computes the right thing in another way."""

    row: str
    name: str
    says: str
    op: Op


PLANTED: list[Planted] = []
CORRECT: list[Correct] = []


def plant(
    row: str, name: str, explained: str, change: Change, reach: str = "", says: str = "", **values: Any
) -> None:
    """Plant a mistake.

    Args:
        row: the row whose op is changed.
        name: of its own.
        explained: its right names, separated by spaces; the sentence of the first describes it.
        change: what makes a wrong op of the right one.
        reach: the results that it makes wrong, as "dx dw"; empty: any.
        says: what is wrong, where the sentence of its name does not say it.
        values: of the placeholders of that sentence.
    """
    names, places = explained.split(), reach.split()
    where = f"In {' and '.join(places)}, " if places else ""
    text = says or f"{where}{SENTENCES[names[0]].format(**values)}."
    text = text if text.split()[0] in SYMBOLS else text[0].upper() + text[1:]
    op = change(ROWS[row].op, tuple(place for place in places if place not in ("rm", "rv")))
    reaches = frozenset(QUANTITIES[place] for place in places)
    PLANTED.append(Planted(row, name, text, op, frozenset(names), reaches))


def planted(name: str) -> Op:
    """The op of a bug, to be a layer of a network."""
    return next(bug.op for bug in PLANTED if bug.name == name)


def alike(row: str, name: str, says: str, change: Change) -> None:
    """Add what a change makes of the row's op to those that are right."""
    CORRECT.append(Correct(row, name, says, change(ROWS[row].op, ())))


def correct(row: str) -> Callable[[Op], Op]:
    """Add a function to those that are right; its name becomes the entry's, its docstring describes it."""

    def add(op: Op) -> Op:
        CORRECT.append(Correct(row, op.__name__.replace("_", "-"), " ".join((op.__doc__ or "").split()), op))
        return op

    return add
