"""The conditions of a failure, derived from random cases and from single changes to the smallest case."""

from dataclasses import replace
from typing import Any

import parity
from numpy_cnn import ops
from parity.cases.case import ArraySpec, Case
from parity.diagnosis.evidence import Change
from parity.diagnosis.facets import Facet, Kind
from parity.diagnosis.variations import vary
from parity.report import Evidence
from parity.rows.pooling import meets_pixels
from parity.rows.registry import ROWS


def _evidence(report: Any) -> Evidence:
    evidence = report.failures[0].evidence
    assert isinstance(evidence, Evidence)
    return evidence


def test_single_changes_to_the_smallest_case() -> None:
    def cropped_wrongly(x: Any, w: Any, b: Any = None, **options: Any) -> Any:
        y, pullback = ops.conv2d(x, w, b, **options)
        rows = options["padding"][0] if isinstance(options["padding"], tuple) else options["padding"]
        shift = rows if isinstance(rows, int) else 0

        def wrong(dy: Any) -> Any:
            dx, dw, db = pullback(dy)
            return dx + shift, dw, db

        return y, wrong

    evidence = _evidence(parity.check("conv2d", cropped_wrongly, examples=60, lanes=["exact"]))
    assert Change("padding", 0) in evidence.varied.no_more
    assert {Change("stride", 2), Change("dtype", "float64")} <= {*evidence.varied.still}
    first = evidence.dependence.needed[0]
    assert (first.facet, first.holds) == (Facet(Kind.ABOVE, "padding", 0), True)


def test_every_window_of_a_variation_covers_a_pixel() -> None:
    """torch accepts such windows, but its backward writes outside of the buffer."""
    options = {"kernel_size": 2, "stride": 1, "padding": 1, "dilation": 1, "ceil_mode": False}
    case = Case("max_pool2d", (ArraySpec("input", (1, 1, 1, 2)),), options, "float32", 1, 0)
    tried: list[Case] = []
    row = ROWS["max_pool2d"]
    found = vary(case, row.valid, lambda changed: not tried.append(changed))  # type: ignore[func-returns-value]
    assert tried
    assert all(meets_pixels(changed) for changed in tried)
    assert Change("dilation", 2) not in found.still
    assert not row.valid(replace(case, options=options | {"dilation": 2}))


def test_after_an_exception_no_quantity_counts_as_agreeing() -> None:
    def refuses_large(x: Any, w: Any, b: Any = None, **options: Any) -> Any:
        if x.size > 100:
            raise TypeError("too large")
        y, pullback = ops.conv2d(x, w, b, **options)
        return y, lambda dy: (-pullback(dy)[0], *pullback(dy)[1:])

    report = parity.check("conv2d", refuses_large, examples=60, lanes=["exact"])
    by_quantity = {failure.quantity: failure.evidence for failure in report.failures}
    raised, negated = by_quantity["output"], by_quantity["grad_input"]
    assert raised is not None
    assert raised.agrees == ()
    assert negated is not None
    assert "output" in negated.agrees
