"""For every explanation in the catalogue: planting its mistake yields its name."""

import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from itertools import chain, zip_longest
from typing import TypeAlias

import pytest

from parity.cases.case import Lane
from parity.cases.op import Array
from parity.cases.primitives import draw_plainly
from parity.cases.torch_op import own_kernels
from parity.lanes.reference import expect
from parity.naming.catalogue import OWN, explanations_of
from parity.naming.explanation import Explanation
from parity.naming.observation import FAILING, PASSING, POOL, Entry, Evidence, agree, chosen
from parity.naming.probe import Probe
from parity.naming.search import LEAST_FAILING, result_of, search
from parity.naming.sentences import LANES, SENTENCES
from parity.rows.double_backward import SUFFIX
from parity.rows.registry import ROWS
from parity.running.sandbox import sandboxed

# Cases per lane, enough to show every mistake; other rows: 75.
CASES = {"conv2d": 60, "max_pool2d": 60, "avg_pool2d": 40, "nll_loss": 150, "cross_entropy": 150}
LARGEST = 400  # entries of an output

# Mistakes that have a second, equally correct name.
SAME: dict[tuple[str, str], set[str]] = {
    ("log_softmax", "log-clipped-both"): {"log-clipped"},  # 1 − ε rounds to 1
    ("cross_entropy", "log-clipped-both"): {"log-clipped"},
}
for _loss in (name for name in OWN if {"mean-missing", "gradient-of-sum"} <= {e.name for e in OWN[name]}):
    SAME[_loss, "gradient-of-sum"] = {"mean-missing"}  # both only undo the mean

# Mistakes that show in a few of a thousand cases; test_narrow.py and the exam plant them.
RARE = {"scale-from-size", "target-overflows", "count-overflows"}

Calls: TypeAlias = dict[str, list[tuple[Probe, Array]]]

# (lanes whose cases alternate, double precision for real numbers), in the order of an observation
OBSERVED: tuple[tuple[tuple[Lane, ...], bool], ...] = (
    (("exact", "bound"), True),
    (("bound",), True),
    (("bound",), False),
    (("special",), True),
)
UNDERFLOWS = {"softmax", "log_softmax"}  # rows with mistakes by underflow, which occurs only in float32


class Results:
    """Computes and caches the results of explanations."""

    def __init__(self) -> None:
        self.found: dict[tuple[Explanation, int], Array | None] = {}

    def __call__(self, explanation: Explanation, probe: Probe) -> Array | None:
        key = explanation, id(probe)
        if key not in self.found:
            self.found[key] = result_of(explanation, probe)
        return self.found[key]


@cache
def calls(name: str, lane: Lane, in_double: bool) -> Calls:
    """Small cases of a lane: quantity → calls and the oracle's results."""
    row = ROWS[name]
    found: defaultdict[str, list[tuple[Probe, Array]]] = defaultdict(list)
    generator, strategy = random.Random(0), row.strategy(lane=lane)
    left = CASES.get(name, 75) if lane in row.lanes else 0
    while left:
        case, _ = draw_plainly(strategy, generator)
        case = replace(case, dtype="float64" if in_double else "float32") if lane == "bound" else case
        expected = expect(row, case, lane)
        if expected.dy.size > LARGEST:
            continue
        left -= 1
        for quantity, theirs in expected.theirs.items():
            found[quantity].append((Probe.of(expected, quantity), theirs))
    return dict(found)


def a_probe(name: str, quantity: str) -> Probe | None:
    """A call that has the quantity, if there is one."""
    found = (calls(name, lane, in_double).get(quantity) for lanes, in_double in OBSERVED for lane in lanes)
    return next((some[0][0] for some in found if some), None)


def planted(explanation: Explanation, name: str, quantity: str, results: Results) -> Evidence | None:
    """The results of an implementation with this mistake, in the first lanes where enough cases fail."""
    for lanes, in_double in OBSERVED:
        if not in_double and name not in UNDERFLOWS:  # other rows would differ by rounding
            continue
        failing: list[Entry] = []
        passing: list[Entry] = []
        by_lane = [[(lane, *call) for call in calls(name, lane, in_double).get(quantity, [])] for lane in lanes]
        for lane, probe, theirs in filter(None, chain.from_iterable(zip_longest(*by_lane))):
            if len(failing) >= POOL:
                break
            ours = results(explanation, probe)
            if ours is not None:
                wrong = not agree(ours, theirs, probe)
                (failing if wrong else passing).append(Entry(probe, ours, theirs, lane != "bound"))
        if len(failing) >= LEAST_FAILING:
            failing = sorted(chosen(failing, FAILING), key=lambda entry: -entry.ours.size)
            return Evidence(failing, chosen(passing, PASSING))
    return None


def misnamed(name: str, quantity: str, shown: set[Explanation]) -> Iterator[tuple[str, str, str | None]]:
    """Yield (quantity, explanation, name found) if the names differ; add every tried explanation to `shown`."""
    probe = a_probe(name, quantity)
    assert probe is not None
    candidates = [e for e in dict.fromkeys(explanations_of(name, probe)) if e.explains(quantity)]
    results = Results()
    for explanation in OWN[name]:
        evidence = planted(explanation, name, quantity, results) if explanation.explains(quantity) else None
        if evidence is not None:
            shown.add(explanation)
            found = search(evidence, candidates, results)
            given = None if found is None else found.explanation.name
            if given != explanation.name and given not in SAME.get((name, explanation.name), ()):
                yield quantity, explanation.name, given


@pytest.mark.parametrize("name", [name for name in OWN if name != "SimpleCNN"])
def test_each_explanation_names_its_own_mistake(name: str) -> None:
    """The name found is that of the explanation, or its second name in SAME."""
    shown: set[Explanation] = set()
    with sandboxed(), own_kernels():
        observed = [(lane, in_double) for lanes, in_double in OBSERVED for lane in lanes]
        quantities = dict.fromkeys(quantity for of in observed for quantity in calls(name, *of))
        wrong = [found for quantity in quantities for found in misnamed(name, quantity, shown)]
    never = {e.name for e in OWN[name]} - {e.name for e in shown} - RARE
    assert not wrong, wrong
    assert not never, never


def test_each_sentence_belongs_to_an_explanation() -> None:
    names = {e.name for row in ROWS for e in OWN.get(row, ())}
    for row in ("conv2d", "elu", "pad"):  # have numeric options of each kind
        probe = a_probe(row, "output")
        assert probe is not None
        names |= {e.name for e in explanations_of("another", probe)}
        names |= {e.name for e in explanations_of(f"another{SUFFIX}", probe)}
    measured = {"constant-factor", "updated-weights", "tail-lost", "index-overflows", "rest-lost"}
    elsewhere = {*LANES, *measured, "float16-inside", "float32-inside", "digits-lost", "single-accuracy"}
    assert {*SENTENCES} - names - elsewhere == set()
