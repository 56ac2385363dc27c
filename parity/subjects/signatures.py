"""What the forms of frameworks have in common: required parameters, code objects, places."""

import inspect
from collections.abc import Iterator
from dataclasses import replace
from types import CodeType
from typing import Any

from parity.subjects.arguments import parameters_of
from parity.subjects.attribute_errors import place_of
from parity.subjects.implementation import Implementation


def inner_codes(code: CodeType | None) -> Iterator[CodeType]:
    """Yield the code of the functions that a function defines."""
    yield from (const for const in getattr(code, "co_consts", ()) if isinstance(const, CodeType))


def codes(kind: type) -> Iterator[CodeType]:
    """Yield the code of the methods of a class."""
    for owner in kind.__mro__[:-1]:
        for method in vars(owner).values():
            code = getattr(method, "__code__", None)
            if isinstance(code, CodeType):
                yield code


def required(function: Any) -> list[inspect.Parameter]:
    """The positional parameters without a default."""
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return [p for p in parameters_of(function) or () if p.default is p.empty and p.kind in kinds]


def with_places(made: Implementation, kind: Any, note: str) -> Implementation:
    """A copy with a note, and the places of the forward and the backward of a class."""
    made = replace(made, forward_place=place_of(kind.forward), backward_place=place_of(kind.backward))
    return made.with_note(note)
