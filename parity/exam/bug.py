"""What a planted bug is, and how one is written down: a function by the op law, with one mistake."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from parity.cases.torch_op import Op


@dataclass(frozen=True)
class Planted:
    """An implementation with one mistake that somebody could make, and often has."""

    row: str
    name: str  # of its own in the whole catalogue
    says: str  # one sentence: what is wrong
    op: Op
    explanations: frozenset[str]  # each of these is a right name for it; none: finding the place is all one can do
    source: str = ""  # where it was met outside of this catalogue


@dataclass(frozen=True)
class Correct:
    """An implementation that computes the right thing in another way."""

    row: str
    name: str
    says: str
    op: Op


PLANTED: list[Planted] = []
CORRECT: list[Correct] = []


def planted(row: str, *, explained: Iterable[str] = (), source: str = "") -> Callable[[Op], Op]:
    """Add a function to the catalogue under its own name; its docstring is what the bug says."""

    def add(op: Op) -> Op:
        PLANTED.append(Planted(row, _name(op), _says(op), op, frozenset(explained), source))
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
