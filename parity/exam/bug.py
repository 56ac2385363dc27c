"""What a planted bug is, and how one is written down: a function by the op law, with one mistake."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from parity.cases.torch_op import Op
from parity.lanes.facts import Aspect
from parity.naming.sentences import LANES, SENTENCES

# How a mistake shows. A crash is none of these: a bug that merely raises is not found as it was written down.
IN_NUMBERS: frozenset[Aspect] = frozenset({"values", "form", "ties", "special"})
BY_LANE: frozenset[Aspect] = frozenset({"purity", "memory", "dtype"})

PLACES = {"y": "output", "dx": "grad_input", "dw": "grad_weight", "db": "grad_bias", "dt": "grad_target"}
PLACES |= {"rm": "running_mean", "rv": "running_var"}


@dataclass(frozen=True)
class Planted:
    """An implementation with one mistake that somebody could make, and often has made."""

    row: str
    name: str  # unique in the whole catalogue
    says: str  # one sentence: what is wrong
    op: Op
    explanations: frozenset[str]  # each is a right name for it; none: only its place can be found
    reaches: frozenset[str] = frozenset()  # the quantities that it makes wrong; none: not written down
    source: str = ""  # where it was met outside this catalogue

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
    row: str, name: str, explained: str, op: Op, at: str = "", source: str = "", says: str = "", **values: Any
) -> None:
    """Add a line of a table.

    Args:
        row: the row whose op has the mistake.
        name: of its own.
        explained: its right names, separated by spaces; the sentence of the first describes it.
        op: the implementation.
        at: what it makes wrong, as "dx dw"; empty: anything.
        source: where it was met.
        says: what is wrong, where the sentence of its name does not say it.
        values: what that sentence has placeholders for.
    """
    names, places = explained.split(), at.split()
    where = f"In {' and '.join(places)}, " if places else ""
    text = says or f"{where}{SENTENCES[names[0]].format(**values)}."
    says = text[0].upper() + text[1:]
    reaches = frozenset(PLACES[place] for place in places)
    PLANTED.append(Planted(row, name, says, op, frozenset(names), reaches, source))


def planted(row: str, *, explained: Iterable[str] = (), at: str = "", source: str = "") -> Callable[[Op], Op]:
    """Add a function under its own name; its docstring describes the bug."""

    def add(op: Op) -> Op:
        plant(row, _name(op), " ".join(explained), op, at, source, _says(op))
        return op

    return add


def correct(row: str) -> Callable[[Op], Op]:
    """Add a function to those that are right."""

    def add(op: Op) -> Op:
        CORRECT.append(Correct(row, _name(op), _says(op), op))
        return op

    return add


def _name(op: Op) -> str:
    return str(op.__name__).replace("_", "-")


def _says(op: Op) -> str:
    return " ".join((op.__doc__ or "").split())
