"""Classify differences: wrong, only a choice at ties, or a convention; and find the name of the mistake."""

import math
from dataclasses import replace

import numpy as np

from parity.cases.case import Case
from parity.cases.op import Op
from parity.cases.restrict import Supports
from parity.cases.state import BUFFERS
from parity.lanes import exact
from parity.lanes.comparison import Mismatch, quantities
from parity.lanes.facts import Difference, Explained, NonDeterministic
from parity.lanes.reference import expect
from parity.naming import Observation, explain
from parity.rows.row import Row
from parity.running.accept import GUARDS
from parity.subjects import Declined, ImplementationError
from parity.subjects.statistics import default_momentum

DRAWS = 6
BESIDE, SMOOTH = (
    2.0**-12,
    4.0,
)  # the distance of the slopes beside a kink, and a limit of smooth second derivatives


def classified(row: Row, op: Op, found: Mismatch, supports: Supports | None) -> Mismatch:
    """Return the mismatch with each difference classified."""
    observation = Observation(row, op, found.lane, supports)
    return Mismatch(found.lane, found.case, [_classified(observation, op, found, d) for d in found.differences])


def _classified(observation: Observation, op: Op, found: Mismatch, difference: Difference) -> Difference:
    # An explanation reproduces results: it explains neither an exception nor a result that changes between calls.
    if isinstance(difference.fact, NonDeterministic):
        return difference
    if difference.aspect not in ("values", "special", "form") or difference.wrong_side == "oracle":
        return difference
    # Real numbers do not tie, so a failure of the bound lane cannot come from a choice at ties.
    integers = difference.aspect == "values" and found.lane in ("exact", "structure")
    if integers and only_ties(observation.row, op, found.case, difference.quantity):
        # A choice is not a mistake.
        by_torch = difference.quantity.startswith("grad_") and _by_torch(observation.row, op, found)
        difference = replace(difference, only="ties", wrong_side="undecided", by_torch=by_torch)
    if integers and at_kinks(observation.row, op, found, difference.quantity):
        difference = replace(difference, only="ties", wrong_side="undecided")
    explained = explain(observation, difference.quantity, found.case, found.lane)
    if explained is None:
        return difference
    if explained.roundoff:
        return replace(difference, only="precision", wrong_side="undecided", explained=explained)
    if explained.convention and not _held_throughout(observation, difference.quantity, explained):
        explained = replace(explained, convention=False)
    return replace(difference, explained=explained)


def _held_throughout(observation: Observation, quantity: str, explained: Explained) -> bool:
    """Whether a convention affects all quantities it should: a factor in a single gradient is a mistake.

    Those are all parameters' gradients of a layer; of a loss, the output and the gradients; of running statistics,
    both. There the author's default decides: a momentum of 0.1 that weights the old statistics is a mistake.
    """
    if explained.name in GUARDS:
        return True  # in one place only
    if quantity in BUFFERS and (default_momentum(getattr(observation.op, "written", None)) or 0.0) <= 0.5:
        return False
    evidence = observation.evidence(quantity, 1)
    names = [] if evidence is None else [*evidence.failing[0].probe.arrays]
    gradients = [f"grad_{name}" for name in names]
    together = ["output", *gradients] if "target" in names else gradients[1:]
    together = [*BUFFERS] if quantity in BUFFERS else together
    for other in together:
        if other != quantity and observation.right_so_far(other):
            return False  # right in cases where this quantity is wrong
        held_against = None if other == quantity else observation.evidence(other, 0)
        if held_against is None or not (held_against.failing or held_against.passing):
            continue  # the same, or never returned
        same = explain(observation, other)
        # The other may have a mistake on top: "half+negated", or a measured factor of −½.
        if same is None or same.name.partition("+")[0] not in (explained.name, "constant-factor"):
            return False
    return True


def _by_torch(row: Row, op: Op, found: Mismatch) -> bool:
    """Whether torch's autograd computes the gradients of the implementation."""
    inputs = expect(row, found.case, found.lane).inputs.private()
    _, pullback = op(*inputs.arrays, **inputs.options)
    return getattr(pullback, "by_torch", False)


def only_ties(row: Row, op: Op, case: Case, quantity: str) -> bool:
    """Whether the quantity agrees, in the geometry of this case, wherever no two values are equal and none is 0.

    Six draws: of both signs, all negative and all positive, to reveal mistakes such as padding with 0; half of
    them with numbers larger than the case's, to reveal low precision. Agreement on zeros proves nothing.
    """
    if "exact" not in row.lanes:
        return False
    telling = False
    for draw in range(DRAWS):
        try:
            expected = expect(row, _without_ties(case, draw), "exact")
            _, differences = exact.compare(row, op, expected)
        except (ImplementationError, Declined, AssertionError, RuntimeError, ValueError, IndexError):
            return False  # it raises there too, or torch or the exactness guard rejects the numbers
        if any(d.quantity == quantity and d.aspect in ("values", "form") for d in differences):
            return False
        telling |= quantity in expected.theirs and bool(expected.theirs[quantity].any())
    return telling


def at_kinks(row: Row, op: Op, found: Mismatch, quantity: str) -> bool:
    """Whether a gradient differs only where its function has a kink, and is between the slopes on both sides.

    For elementwise functions without an exact lane; `only_ties` decides it for the others.
    """
    if not row.elementwise or "exact" in row.lanes or not quantity.startswith("grad_"):
        return False
    expected = expect(row, found.case, found.lane)
    ours = quantities(op, expected.inputs.private(), expected.dy.copy()).get(quantity)
    theirs = expected.theirs[quantity]
    if ours is None or np.shape(ours) != theirs.shape or not np.isfinite(ours).all():
        return False
    (x, *others), options = expected.inputs.in_float64()
    assert x is not None  # the input
    dy, beside = expected.dy.astype(np.float64), []
    for step in (-BESIDE, BESIDE):
        inputs = expected.inputs._replace(arrays=(x + step, *others), options=options)
        beside.append(quantities(expected.like, inputs, dy)[quantity])
    low, high = np.minimum(*beside), np.maximum(*beside)
    near = SMOOTH * BESIDE * np.abs(expected.dy)  # a smooth slope changes by less
    right = np.abs(ours - theirs) <= near
    kink = (high - low > 4 * near) & (low - near <= ours) & (ours <= high + near)
    return bool((right | kink).all())


def _without_ties(case: Case, draw: int) -> Case:
    """The same geometry on distinct nonzero integers, also across arrays."""
    generator = np.random.default_rng([case.seed, draw])
    shapes = {s.name: s.shape for s in case.arrays if s.kind == "real" and s.shape is not None}
    sizes = [math.prod(shape) for shape in shapes.values()]
    numbers = generator.permutation(sum(sizes)) + 1 + (case.magnitude if draw >= DRAWS // 2 else 0)
    signed = numbers * (generator.choice([-1, 1], len(numbers)), -1, 1)[draw % 3]
    parts = np.split(signed.astype(float), np.cumsum(sizes)[:-1])
    return replace(
        case, values={n: part.reshape(shape) for (n, shape), part in zip(shapes.items(), parts, strict=True)}
    )
