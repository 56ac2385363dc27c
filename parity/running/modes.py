"""Layers whose backward belongs to training: in evaluation it raises, or uses the formula of training."""

import dis
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import CodeType
from typing import Any, Literal, TypeAlias

import numpy as np

from parity.cases.case import Case, Lane
from parity.cases.restrict import narrowed
from parity.lanes.comparison import quantities
from parity.lanes.reference import expect
from parity.rows.row import Row
from parity.running.roughly import roughly_equal
from parity.subjects import Declined, Implementation, ImplementationError, names

Outcome: TypeAlias = Literal["raises", "wrong", "right"]
NOTE = "its backward belongs to training: gradients are compared with training=True, outputs in both modes"
SEEDS = 3
MODES = frozenset({"train", "training", "test", "eval"})  # words by which a backward distinguishes the modes


def backward_in_training(
    row: Row, made: Implementation, lane: Lane, case: Case, known: Mapping[str, Any]
) -> Implementation:
    """Compare gradients only in training if the backward has no correct gradient in evaluation.

    A backward that distinguishes the modes is compared in both.

    Args:
        row: of a normalization with both modes.
        made: the implementation; unchanged if it is in torch's form.
        lane: of the case.
        case: any case of the row.
        known: its capabilities.
    """
    if not made.lenient or made.forward_only or known.get("training"):
        return made
    cases = [narrowed(replace(case, seed=seed), {**known, "training": False}) for seed in range(SEEDS)]
    found = [_gradient_in_evaluation(row, made, lane, each) for each in cases]
    raises = all(outcome == "raises" for outcome in found)
    wrong = all(outcome == "wrong" for outcome in found) and not _reads_mode(made)
    return replace(made, backward_in_training=True).with_note(NOTE) if raises or wrong else made


def _gradient_in_evaluation(row: Row, made: Implementation, lane: Lane, case: Case) -> Outcome | None:
    """The outcome of the pullback; None if the forward fails."""
    expected = expect(row, case, lane)
    try:
        found = quantities(made, expected.inputs.private(), expected.dy.copy())
    except ImplementationError as error:
        return "raises" if error.in_pullback and error.aspect == "raised" else None
    except Declined:
        return None
    name = f"grad_{expected.inputs.names[0]}"
    mine, theirs = found.get(name), expected.theirs[name]
    if mine is None or np.shape(mine) != theirs.shape:
        return None
    return "right" if roughly_equal(mine, theirs) else "wrong"


def _reads_mode(made: Implementation) -> bool:
    """Whether the backward, or a method that it calls, reads something named like a mode."""
    written = made.written
    if isinstance(written, type):
        methods = {name: getattr(written, name) for name in dir(written) if callable(getattr(written, name, None))}
        codes = {
            name: code for name, m in methods.items() if isinstance(code := getattr(m, "__code__", None), CodeType)
        }
        starts = [name for name in codes if name.startswith(("back", "bprop", "_back", "grad"))]
    else:
        function = written[1] if isinstance(written, (tuple, list)) else written
        code = getattr(function, "__code__", None)
        codes, starts = ({"": code}, [""]) if isinstance(code, CodeType) else ({}, [])
    seen: set[str] = set()
    while starts:
        name = starts.pop()
        if name in seen:
            continue
        seen.add(name)
        used = {*_words(codes[name])}
        if any(_is_mode(word) for word in used):
            return True
        starts += [word for word in used & codes.keys() if not word.startswith("__") and word not in ("forward",)]
    return False


def _is_mode(word: str) -> bool:
    short = names.plain(word)
    return short in MODES | names.INVERTED or names.OPTIONS.get(short) == "training"


def _words(code: CodeType) -> Iterator[str]:
    """The names and texts in the instructions of a function."""
    for step in dis.get_instructions(code):
        if isinstance(step.argval, str) and step.opname.startswith(("LOAD", "STORE")):
            yield step.argval


def has_modes(cases: Sequence[Case]) -> bool:
    """Whether the cases are of a normalization that keeps running statistics."""
    return bool(cases) and any(spec.name == "running_var" for spec in cases[0].arrays)
