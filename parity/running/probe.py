"""Determine the layout of an implementation and what it does not support, by calling it on a few cases.

This module gives no verdicts. If a call fails for every case of a kind (pairs, a missing bias, a rank, ignored
targets) and succeeds for the same case without it, the implementation does not support that form: such cases are
not generated, and the report notes it. If calls fail only for some cases of a kind, or for all cases of every
kind, nothing is excluded, and the lanes report the failure. The number of calls is bounded, not their time.
"""

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Literal

import numpy as np

from parity.cases.case import Case, Lane
from parity.cases.primitives import Nothing, draw_plainly, draws_plainly
from parity.cases.restrict import Supports, fits, known_words, narrow, narrowed, numbers_in
from parity.cases.restrict_targets import is_probabilities
from parity.cases.sample import sample
from parity.cases.torch_op import Array
from parity.lanes.reference import Expected, expect
from parity.rows.row import Row
from parity.running.constants import CONSTANTS, constants
from parity.running.loops import numbers_limit
from parity.running.losses import is_right, lacks_reduction, reduction_of, takes_classes_only
from parity.running.masks import P, with_mask
from parity.running.modes import backward_in_training, has_modes
from parity.running.simple_cases import simple_cases
from parity.running.statistics import of_a_course
from parity.subjects import Capabilities, Declined, Implementation, ImplementationError, Unrecognised, autograd
from parity.subjects.dropout import draws_its_mask
from parity.subjects.layouts import variants
from parity.subjects.pair import at_output, drops_upstream, names_output
from parity.subjects.wrappers import LOSS_AND_GRADIENT, OWN_OUTPUT, without_upstream

MOST_CALLS = 500
EACH = 3  # cases that must all fail before a form is excluded
DRAWS = 40  # cases drawn in search of small ones of a kind
FIRST_LAYER = "its backward returns no gradient of the input, as in a first layer: grad_input is not compared"
KERNEL = (3, 3)  # the only one of convolutions that are written out for one size
MODERATE = 8  # scores of this standard deviation leave every probability in the range of float32

Kind = Literal[
    "right", "gradients", "missing", "pullback", "shape", "form", "refused", "declined", "invalid", "time"
]
RAISED: frozenset[Kind] = frozenset({"pullback", "refused", "declined", "time"})
FORWARD_RIGHT: frozenset[Kind] = frozenset({"right", "gradients", "missing", "pullback"})

# Forms by the keyword that excludes them. Any exception is enough for a form that most code lacks; the value of an
# option that is a parameter must be rejected by a `raise` or an `assert` of the implementation.
FORMS: dict[str, Any] = {
    "pairs": False, "square": True, "same": False, "tiling": True, "bias": True, "probabilities": False,
    "ignored": False, "none": False, "weight": None, "training": True,
}  # fmt: skip
IN_PULLBACK = frozenset({"bias", "training", "none"})  # forms for which only the backward may fail


@dataclass(frozen=True)
class Outcome:
    """The outcome of one call."""

    kind: Kind
    narrows: Mapping[str, Any] = field(default_factory=dict)
    deliberate: bool = False
    takes_upstream: bool = True
    missing: tuple[str, ...] = ()
    misshapen: tuple[str, ...] = ()  # arrays whose gradients have the wrong shape


def probe(row: Row, implementation: Implementation, supports: Supports | None) -> Implementation:
    """Return the implementation adapted to its layout, with its capabilities.

    Args:
        row: the row that it implements.
        implementation: the result of `adapt`.
        supports: the user's restrictions.

    Raises:
        Unrecognised: parity cannot find out how to call it.
    """
    fixed = dict(supports) if isinstance(supports, Mapping) else {}
    implementation = replace(implementation, fixed=frozenset(fixed))
    trials = _Trials(row, supports, fixed)
    if row.kind == "network":
        return implementation
    bases = trials.simple()
    if bases and draws_its_mask(implementation.written, bases[0]):
        implementation = trials.masked(implementation)
    unreduced: list[Case] = []
    if bases and lacks_reduction(implementation, bases[0], row, trials.lane):
        implementation = replace(implementation, fixed=implementation.fixed | {"reduction"})
        unreduced = [replace(case, options=case.options | {"reduction": "none"}) for case in bases]
    chosen, outcome, known = trials.layout(implementation, bases + unreduced)
    wrong_shape = outcome is not None and outcome.kind == "shape" and "kernel_size" not in fixed
    if wrong_shape and "kernel_size" in trials.unread(implementation, bases[0], {}):
        # It has no parameter for the size of its windows, and the first likely one has the wrong shape.
        of_three = replace(implementation, fixed=implementation.fixed | {"kernel_size"})
        larger = [replace(case, options=case.options | {"kernel_size": 3}) for case in bases]
        again = trials.layout(of_three, larger)
        if again[1] is not None and again[1].kind in FORWARD_RIGHT:
            (chosen, outcome, known), bases = (*again[:2], again[2] | {"kernel_size": 3}), larger
    if outcome is not None and outcome.kind in FORWARD_RIGHT and (other := at_output(chosen)) is not None:
        trials.calls += 2
        wrong = not is_right(row, chosen, trials.lane, bases[0])
        if wrong and (names_output(other) or is_right(row, other, trials.lane, bases[0])):
            chosen = other
    if outcome is not None and not outcome.takes_upstream:
        chosen = (
            without_upstream(chosen, OWN_OUTPUT if isinstance(chosen.written, type) else LOSS_AND_GRADIENT)
            if chosen.takes_upstream and not chosen.optional_upstream
            else drops_upstream(chosen)
        )
        chosen = replace(chosen, takes_upstream=False)
    if outcome is not None and outcome.kind in FORWARD_RIGHT:
        chosen, known = trials.loss(chosen, bases, known)
        if unreduced:
            bases = [replace(case, options=case.options | {"reduction": known["reduction"]}) for case in bases]
        if has_modes(bases):
            chosen = backward_in_training(row, chosen, trials.lane, bases[0], {**fixed, **known})
        chosen, known = trials.constants(chosen, bases, known)
        known = trials.ranks(chosen, bases, known)
        known = trials.forms(chosen, known)
        known = trials.sizes(chosen, bases, known)
    if outcome is not None and outcome.missing == ("input",) and chosen.updates:
        chosen = replace(chosen, lacks=frozenset({"grad_input"})).with_note(FIRST_LAYER)
        outcome = replace(outcome, missing=())
    for name in outcome.missing if outcome else ():
        chosen = chosen.with_note(_missing_note(chosen, name))
    with_statistics = bases and any(spec.name == "running_var" for spec in bases[0].arrays)
    if (
        chosen.lenient and with_statistics and "momentum" in bases[0].options
    ):  # not instance norm, which updates none
        chosen, known = of_a_course(row, chosen, trials.lane, narrowed(bases[0], {**fixed, **known}), known)
    if chosen.clear is not None and trials.accumulates(chosen, bases, known):
        chosen = chosen.with_note(
            f"gradients accumulate until {chosen.clear}(), as torch's do: it is called before each forward"
        )
    if not chosen.takes_upstream:
        known = {**known, "upstream": 1}
    return replace(chosen, capabilities=Capabilities(known, trials.calls))


class _Trials:
    """Counted calls of one implementation on cases of one row."""

    def __init__(self, row: Row, supports: Supports | None, fixed: Mapping[str, Any]) -> None:
        self.row, self.supports, self.fixed, self.calls = row, supports, dict(fixed), 0
        self.lane: Lane = next(lane for lane in ("bound", *row.lanes) if lane in row.lanes)

    def simple(self) -> list[Case]:
        """Cases with default options and distinct sizes; a few generated ones if there are none."""
        made = [
            case for template in sample(self.row.strategy(lane=self.lane), 1) for case in simple_cases(template)
        ]
        made = [narrowed(case, self.fixed) for case in made]
        made = [case for case in made if fits(case, self.fixed) and self._accepted(case) and self.row.valid(case)]
        return made or self._drawn({}, count=EACH)

    def _accepted(self, case: Case) -> bool:
        where = self.supports if callable(self.supports) else self.fixed.get("where")
        return where is None or bool(where(case))

    def layout(
        self, implementation: Implementation, bases: list[Case]
    ) -> tuple[Implementation, Outcome | None, dict[str, Any]]:
        """The first layout with all shapes correct; else the first with a correct output; else unchanged."""
        fallback: tuple[Implementation, Outcome | None, dict[str, Any]] = (implementation, None, {})
        forward: tuple[Implementation, Outcome, dict[str, Any]] | None = None
        question: Unrecognised | None = None
        is_array_alone = False
        conversion = implementation.conversion
        for candidate in variants(implementation, bases[0]) if bases else ():
            if forward is not None and (not implementation.lenient or candidate.conversion != conversion):
                break  # the forward is correct with this kind of array, so another kind cannot help
            conversion = candidate.conversion
            if conversion == "torch" and is_array_alone and not autograd.uses_torch(implementation.written):
                continue  # a NumPy function without a pullback, whose operators also exist for tensors
            for case in bases:
                try:
                    outcome, known = self._settled(candidate, case)
                except Unrecognised as error:
                    question = question or error
                    break
                if outcome.kind == "right":
                    return candidate, outcome, known
                if outcome.kind == "time":
                    return candidate, outcome, known
                if outcome.kind in FORWARD_RIGHT and forward is None:
                    forward = candidate, outcome, known
                if fallback[1] is None:
                    fallback = candidate, outcome, known
                    is_array_alone = outcome.kind == "form"
        refused = fallback[1] is None or fallback[1].kind == "refused"
        if forward is None and refused and question is not None:
            raise question
        return forward or fallback

    def _settled(self, implementation: Implementation, case: Case) -> tuple[Outcome, dict[str, Any]]:
        """The outcome on the case, which is adjusted while the implementation declines it with a reason."""
        known: dict[str, Any] = {}
        outcome = self.attempt(implementation, case)
        while outcome.kind == "declined" and (new := self._new(outcome, known)):
            known |= new
            case = narrowed(case, {**self.fixed, **known})
            outcome = self.attempt(implementation, case)
        return outcome, known

    def _new(self, outcome: Outcome, known: Mapping[str, Any]) -> dict[str, Any]:
        return {
            word: value for word, value in outcome.narrows.items() if word not in known and word not in self.fixed
        }

    def loss(
        self, implementation: Implementation, bases: list[Case], known: dict[str, Any]
    ) -> tuple[Implementation, dict[str, Any]]:
        """The reduction of a loss without a parameter for it, and whether its targets are only classes."""
        known = dict(known)
        if "reduction" in bases[0].options.keys() & implementation.fixed - self.fixed.keys():
            self.calls += len(bases)
            known["reduction"] = reduction_of(self.row, implementation, self.lane, bases[0], known)
            if known["reduction"] is None:  # none of torch's: the lanes report the difference
                known["reduction"] = "mean"
        words = {**known, "magnitude": 1, **({} if implementation.takes_upstream else {"upstream": 1})}
        if implementation.lenient and "probabilities" in known_words(bases[0]) - self.fixed.keys():
            drawn = self._drawn(words, lambda case: is_probabilities({spec.name: spec for spec in case.arrays}))
            self.calls += len(drawn)
            if takes_classes_only(self.row, implementation, self.lane, drawn):
                known["probabilities"] = False
        return implementation, known

    def accumulates(self, implementation: Implementation, bases: list[Case], known: Mapping[str, Any]) -> bool:
        """Whether a second backward without clearing adds to the gradients of the first."""
        self.calls += 1
        try:
            expected = expect(self.row, narrowed(bases[0], {**self.fixed, **known}), self.lane)
            _, pullback = replace(implementation, clears=False)(
                *expected.inputs.private().arrays, **expected.inputs.options
            )
            if pullback is None:
                return False
            first = [None if g is None else np.array(g) for g in pullback(expected.dy.copy())]
            second = pullback(expected.dy.copy())
        except (RuntimeError, ValueError, IndexError, Declined, ImplementationError):
            return False
        return any(
            b is None or not np.array_equal(a, b) for a, b in zip(first, second, strict=True) if a is not None
        )

    def masked(self, implementation: Implementation) -> Implementation:
        """Wrap a dropout layer so that it uses the case's mask."""

        def masks(case: Case) -> bool:
            return all(spec.shape is not None and math.prod(spec.shape) > 1 for spec in case.arrays)

        cases = self._drawn({"training": True, "p": P}, masks)
        self.calls += 12 * len(cases)
        return with_mask(self.row, implementation, self.lane, cases)

    def constants(
        self, implementation: Implementation, bases: list[Case], known: dict[str, Any]
    ) -> tuple[Implementation, dict[str, Any]]:
        """The values of hard-coded options: those for which the output is correct."""
        for case in bases:
            names = self.unread(implementation, case, known)
            if not names:
                return implementation, known
            made = replace(implementation, fixed=implementation.fixed | {*names})
            quiet = replace(narrowed(case, {**self.fixed, **known}), dtype="float64", magnitude=1)
            self.calls += 1
            found = constants(self.row, made, self.lane, self._with_momentum(made, quiet), names)
            if found is not None:
                return made, known | found
        return implementation, known

    def _with_momentum(self, implementation: Implementation, case: Case) -> Case:
        """The case with a momentum if the optimizer has one, because it shows Nesterov's formula."""
        if case.options.get("momentum") != 0 or self.row.kind != "optimizer":
            return case
        moving = replace(case, options=case.options | {"momentum": 0.3})
        return case if self.attempt(implementation, moving).kind == "declined" else moving

    def unread(self, implementation: Implementation, case: Case, known: Mapping[str, Any]) -> list[str]:
        """Options with a likely constant and no parameter: another value is declined."""
        found = []
        case = narrowed(case, {**self.fixed, **known})
        for name in CONSTANTS.keys() & case.options.keys() - self.fixed.keys():
            other = next(value for value in CONSTANTS[name] if value != case.options[name])
            moved = {"momentum": 0.3} if name == "nesterov" else {}
            outcome = self.attempt(implementation, replace(case, options=case.options | {name: other} | moved))
            if outcome.kind == "declined" and name in outcome.narrows:
                found.append(name)
        return sorted(found)

    def ranks(self, implementation: Implementation, bases: list[Case], known: dict[str, Any]) -> dict[str, Any]:
        """The ranks of the input that it supports, if not all of the row's."""
        by_rank: dict[int, list[Outcome]] = {}
        for case in bases:
            rank = len(case.arrays[0].shape or ())
            if not any(self._does(implementation, outcome) for outcome in by_rank.get(rank, ())):
                try:
                    outcome, _ = self._settled(implementation, narrowed(case, {**self.fixed, **known}))
                except Unrecognised:  # its parameters have other shapes at this rank
                    outcome = Outcome("shape")
                by_rank.setdefault(rank, []).append(outcome)
        taken = frozenset(r for r, found in by_rank.items() if any(self._does(implementation, o) for o in found))
        if len(taken) > 1 and implementation.lenient:
            taken = self._right_ranks(implementation, bases, known, taken)
        if not taken:  # wrong at every rank: the likeliest one shows the mistake
            right = [r for r, found in by_rank.items() if any(o.kind in FORWARD_RIGHT for o in found)]
            taken = frozenset(right[:1])
        if not taken or len(taken) == len(by_rank) or "rank" in self.fixed:
            return known
        return known | {"rank": min(taken) if len(taken) == 1 else taken}

    def _right_ranks(
        self, implementation: Implementation, bases: list[Case], known: dict[str, Any], taken: frozenset[int]
    ) -> frozenset[int]:
        """The ranks at which a loss is correct if it is correct for (N, F): `len(x[0])` is F only there."""
        if all(spec.name != "target" for spec in bases[0].arrays):
            return taken
        right: dict[int, bool] = {}
        for case in bases:
            rank = len(case.arrays[0].shape or ())
            if rank in taken and not right.get(rank):
                self.calls += 1
                words = {**self.fixed, **known} | ({} if implementation.takes_upstream else {"upstream": 1})
                right[rank] = is_right(self.row, implementation, self.lane, narrowed(case, words))
        return frozenset(rank for rank in taken if right[rank]) if right.get(2) else taken

    @staticmethod
    def _does(implementation: Implementation, outcome: Outcome) -> bool:
        """Whether the outcome shows that the implementation supports this rank.

        A product `x @ w` accepts inputs of any rank. A weight gradient of the correct shape, or an op without one,
        indicates code for this rank: wrong numbers are then a mistake.
        """
        if outcome.kind == "gradients":
            return not implementation.lenient or "weight" not in outcome.misshapen
        return outcome.kind in ("right", "missing")

    def forms(self, implementation: Implementation, known: dict[str, Any]) -> dict[str, Any]:
        """The keywords for unsupported forms; each is tried alone, with all others at their simplest."""
        known = self._declines(implementation, known)
        words = self._words() if not self._all_right(implementation, known) else {}
        words = {word: value for word, value in words.items() if word not in known and word not in self.fixed}
        if isinstance(known.get("padding"), str):
            words.pop("same", None)  # its padding is always a word
        simplest = self._drawn({**known, **words}, count=EACH)
        if not any(self.attempt(implementation, case).kind in FORWARD_RIGHT for case in simplest):
            return known  # the simplest case fails too, so this is a failure, not an unsupported form
        if "pairs" in words:
            del words["pairs"]
            known |= self._windows(implementation, {**known, **words})
        for word, value in words.items():
            if word in known:
                continue
            tiles = ("stride", "padding") if word == "tiling" else ()  # under a stride of 1 all windows tile
            others = {w: v for w, v in words.items() if w != word and w not in tiles}
            found = [
                self.attempt(implementation, c) for c in self._drawn({**known, **others}, not_within(word, value))
            ]
            for outcome in found:
                known = {**self._new(outcome, {**known, word: value}), **known}
            if found and all(_lacks(word, outcome) for outcome in found):
                known = {**known, word: value}
        return known | self._overflow(implementation, known)

    def sizes(self, implementation: Implementation, bases: list[Case], known: dict[str, Any]) -> dict[str, Any]:
        """The largest cases that an implementation with loops over numbers runs in milliseconds."""
        if "numbers" in self.fixed or not bases or self.row.kind != "op":
            return known
        case = narrowed(bases[0], {**self.fixed, **known})
        if not self.row.valid(case):
            return known
        self.calls += 3
        limit = numbers_limit(self.row, implementation, self.lane, case)
        return known if limit is None else known | {"numbers": limit}

    def _windows(self, implementation: Implementation, words: Mapping[str, Any]) -> dict[str, Any]:
        """Whether it accepts only square kernels, or only one number per option."""
        free = {
            w: v for w, v in words.items() if w not in ("stride", "padding", "dilation", "square", "kernel_size")
        }

        def lacks(strict: Mapping[str, Any], kind: Callable[[Case], bool]) -> bool:
            found = [self.attempt(implementation, c) for c in self._drawn({**free, **strict}, kind)]
            return bool(found) and all(outcome.kind in ("refused", "declined") for outcome in found)

        if lacks({"tuples": False}, has_long_kernel):
            return {"pairs": False}
        return {"tuples": False} if lacks({}, has_pair) else {}

    def _overflow(self, implementation: Implementation, known: Mapping[str, Any]) -> dict[str, Any]:
        """Restrict scores to small numbers if a probability that underflows makes the loss infinite."""
        loud = [replace(case, magnitude=200, seed=seed) for case in self.simple()[:1] for seed in range(4 * EACH)]
        if (
            self.row.kind != "op"
            or not any(spec.kind == "classes" for spec in loud[0].arrays)
            or "magnitude" in known
        ):
            return {}
        seen = [self._output(implementation, narrowed(case, {**self.fixed, **known})) for case in loud]
        numbers = [found for found in seen if found is not None and np.ndim(found[0]) == 0]
        ours, theirs = np.array([y for y, _ in numbers]), np.array([expected for _, expected in numbers])
        if ours.size == 0 or np.isfinite(ours).all() or not np.isfinite(theirs).all():
            return {}
        # log(0) is −∞, and 0·log(0) is NaN for one-hot targets; the gradients are not affected.
        if np.isnan(ours).any() and not all(self._finite_gradient(implementation, case, known) for case in loud):
            return {}
        return {} if np.isneginf(ours).any() else {"magnitude": MODERATE}

    def _finite_gradient(self, implementation: Implementation, case: Case, known: Mapping[str, Any]) -> bool:
        """Whether all entries of the gradient of the scores are numbers."""
        self.calls += 1
        try:
            expected = expect(self.row, narrowed(case, {**self.fixed, **known}), self.lane)
            _, pullback = implementation(*expected.inputs.private().arrays, **expected.inputs.options)
            gradient = None if pullback is None else pullback(np.ones_like(expected.dy))[0]
        except (RuntimeError, ValueError, IndexError, Declined, ImplementationError):
            return False
        return gradient is not None and bool(np.isfinite(gradient).all())

    def _output(self, implementation: Implementation, case: Case) -> tuple[Array, Array] | None:
        self.calls += 1
        try:
            expected = expect(self.row, case, self.lane)
            y, _ = implementation(*expected.inputs.private().arrays, **expected.inputs.options)
        except (RuntimeError, ValueError, IndexError, Declined, ImplementationError):
            return None
        return y, expected.theirs["output"]

    def _declines(self, implementation: Implementation, known: dict[str, Any]) -> dict[str, Any]:
        """Infer restrictions from generated cases until none is declined."""
        for _ in range(8):
            found = [self.attempt(implementation, case) for case in self._drawn(known, count=2 * EACH)]
            new: dict[str, Any] = {}
            for outcome in found:
                new |= self._new(outcome, known)
            if not new:
                break
            known = {**known, **new}
        return known

    def _all_right(self, implementation: Implementation, known: dict[str, Any]) -> bool:
        """Whether a few dozen generated cases run without an exception; then nothing is excluded."""
        return all(
            self.attempt(implementation, case).kind not in RAISED for case in self._drawn(known, count=8 * EACH)
        )

    def _words(self) -> dict[str, Any]:
        """The keywords that apply to the row, at their simplest values."""
        case = self.simple()[0]
        options = {
            name: value for name, value in case.options.items() if name != "kernel_size" and self.row.kind == "op"
        }
        known = known_words(case)
        kernels = {"kernel_size": KERNEL} if any(len(spec.shape or ()) == 4 for spec in case.arrays[1:]) else {}
        return (
            {n: v for n, v in FORMS.items() if n in known}
            | kernels
            | {n: v for n, v in options.items() if n not in FORMS}
        )

    def _drawn(
        self, words: Mapping[str, Any], kind: Callable[[Case], bool] | None = None, count: int = EACH
    ) -> list[Case]:
        """A few small cases of one kind that satisfy the keywords."""
        strategy = narrow(self.row.strategy(lane=self.lane), self.supports)
        strategy = narrow(strategy, {**words, **self.fixed})
        strategy = narrow(strategy, kind)
        if words.get("nesterov"):  # torch rejects it without a momentum
            strategy = narrow(strategy, lambda case: case.options["momentum"] != 0)
        if draws_plainly(strategy):
            generator, found = random.Random(str(sorted(map(str, words)))), []
            for _ in range(DRAWS):
                try:
                    found.append(draw_plainly(strategy, generator)[0])
                except Nothing:
                    break
                if len(found) >= 2 * count:
                    break
        else:
            found = sample(strategy, count)
        return sorted(found, key=numbers_in)[:count]

    def attempt(self, implementation: Implementation, case: Case) -> Outcome:
        """One forward and one pullback."""
        self.calls += 1
        if self.calls > MOST_CALLS:
            return Outcome("invalid")
        try:
            expected = expect(self.row, case, self.lane)
        except (RuntimeError, ValueError, IndexError, TypeError, Declined):
            return Outcome("invalid")  # torch rejects the case
        inputs = expected.inputs.private()
        try:
            y, pullback = implementation(*inputs.arrays, **inputs.options)
        except Declined as reason:
            return Outcome("declined", reason.narrows)
        except ImplementationError as error:
            kind: Kind = "time" if error.aspect == "time" else "refused" if error.aspect == "raised" else "form"
            return Outcome(kind, deliberate=getattr(error, "deliberate", False))
        if np.shape(y) != expected.dy.shape:
            return Outcome("shape")
        if pullback is None:
            return Outcome("right")
        try:
            return _judged(implementation, expected, pullback)
        except Declined as reason:
            return Outcome("declined", reason.narrows)
        except ImplementationError as error:
            kind = "time" if error.aspect == "time" else "pullback" if error.aspect == "raised" else "gradients"
            return Outcome(
                kind, deliberate=getattr(error, "deliberate", False), takes_upstream=pullback.takes_upstream
            )


def not_within(word: str, value: Any) -> Callable[[Case], bool]:
    """Whether the keyword excludes the case."""
    return lambda case: not fits(case, {word: value})


def has_pair(case: Case) -> bool:
    """Whether stride, padding or dilation is a pair of two numbers."""
    return any(
        len({*pair}) > 1
        for pair in map(case.options.get, ("stride", "padding", "dilation"))
        if type(pair) is tuple
    )


def has_long_kernel(case: Case) -> bool:
    """Whether the kernel is not square and larger than 1 along both axes, so that nothing broadcasts."""
    weight = next((spec.shape[2:] for spec in case.arrays if spec.name == "weight" and spec.shape), None)
    kernel = case.options.get("kernel_size", weight)
    return isinstance(kernel, tuple) and len({*kernel}) > 1 and min(kernel) > 1


def _judged(implementation: Implementation, expected: Expected, pullback: Any) -> Outcome:
    dy = expected.dy if pullback.takes_upstream else np.ones_like(expected.dy)
    gradients = dict(zip(expected.inputs.names, pullback(dy.copy()), strict=True))
    takes_upstream = pullback.takes_upstream
    if takes_upstream and implementation.optional_upstream:
        doubled = pullback(2 * dy)
        takes_upstream = any(
            g is not None and not np.array_equal(g, d) for g, d in zip(gradients.values(), doubled, strict=True)
        )
    theirs = {name.removeprefix("grad_"): g for name, g in expected.theirs.items() if name.startswith("grad_")}
    missing = tuple(
        n for n in theirs if gradients.get(n) is None and not (implementation.lenient and n == "target")
    )
    misshapen = tuple(
        n for n, g in theirs.items() if gradients[n] is not None and np.shape(gradients[n]) != g.shape
    )
    kind: Kind = "gradients" if misshapen else "missing" if missing else "right"
    return Outcome(kind, takes_upstream=takes_upstream, missing=missing, misshapen=misshapen)


def _lacks(word: str, outcome: Outcome) -> bool:
    """Whether the outcome shows that the implementation lacks the form that the keyword excludes."""
    if outcome.kind == "declined":
        return True
    if word not in FORMS and word != "kernel_size":
        return outcome.kind in ("refused", "pullback") and outcome.deliberate
    return outcome.kind == "refused" or (word in IN_PULLBACK and outcome.kind == "pullback")


def _missing_note(implementation: Implementation, name: str) -> str:
    what = {"weight": "dW", "bias": "db"}.get(name, f"d{name}")
    owner = getattr(implementation.written, "__name__", "it")
    return (
        f"no gradient called {what}, {name}_grad or the like was found on {owner}: return it from backward, or "
        "keep it in an attribute with such a name"
    )
