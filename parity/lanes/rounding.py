"""Differences on small integers that are only roundoff: a root that is squared, a division by a product."""

from dataclasses import replace

import numpy as np

from parity.lanes.bound import referee_and_bounds
from parity.lanes.comparison import Quantities
from parity.lanes.facts import Difference, ValuesDiffer
from parity.lanes.reference import Expected
from parity.rows.row import Row


def rounded(row: Row, expected: Expected, ours: Quantities, differences: list[Difference]) -> list[Difference]:
    """The differences; those within the bound that real numbers are held to are marked as roundoff.

    Not in networks, whose bounds admit either side of a kink, nor in optimizers.
    """
    if row.kind != "op" or not any(_of_values(difference) for difference in differences):
        return differences
    truth, allowed = referee_and_bounds(row, expected.inputs, expected.dy, expected.theirs)

    def is_roundoff(difference: Difference) -> bool:
        name = difference.quantity
        if not _of_values(difference) or name not in allowed:
            return False
        with np.errstate(invalid="ignore"):
            return bool((np.abs(ours[name] - truth[name]) <= allowed[name]).all())

    return [replace(d, only="precision", wrong_side="undecided") if is_roundoff(d) else d for d in differences]


def _of_values(difference: Difference) -> bool:
    return difference.only is None and isinstance(difference.fact, ValuesDiffer)
