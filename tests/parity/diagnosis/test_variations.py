"""What a failure depends on: told from random cases, and from the smallest one changed in one place at a time."""

from typing import Any

import parity
from numpy_cnn import ops
from parity.report import Evidence


def _evidence(report: Any) -> Evidence:
    evidence = report.failures[0].evidence
    assert isinstance(evidence, Evidence)
    return evidence


def test_the_smallest_case_changed_in_one_place() -> None:
    def cropped_wrongly(x: Any, w: Any, b: Any = None, **options: Any) -> Any:
        y, pullback = ops.conv2d(x, w, b, **options)
        rows = options["padding"][0] if isinstance(options["padding"], tuple) else options["padding"]
        shift = rows if isinstance(rows, int) else 0

        def wrong(dy: Any) -> Any:
            dx, dw, db = pullback(dy)
            return dx + shift, dw, db

        return y, wrong

    evidence = _evidence(parity.check("conv2d", cropped_wrongly, examples=60, lanes=["exact"]))
    told = ", ".join(evidence.varied)
    still, _, no_more = told.partition("and not with ")
    assert "padding=0" in no_more
    assert "stride=2" in still
    assert "float64" in still
    assert evidence.needed[0].startswith("only with padding > 0")


def test_a_mistake_that_raises_says_nothing_of_what_was_not_computed() -> None:
    def refuses_pairs(x: Any, w: Any, b: Any = None, **options: Any) -> Any:
        if isinstance(options["stride"], tuple):
            raise TypeError("no pairs")
        y, pullback = ops.conv2d(x, w, b, **options)
        return y, lambda dy: (-pullback(dy)[0], *pullback(dy)[1:])

    report = parity.check("conv2d", refuses_pairs, examples=60, lanes=["exact"])
    by_quantity = {failure.quantity: failure.evidence for failure in report.failures}
    raised, negated = by_quantity["output"], by_quantity["grad_input"]
    assert raised is not None
    assert raised.agrees == ()
    assert negated is not None
    assert "output" in negated.agrees
