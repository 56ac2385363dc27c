"""Finds the layer of a network whose own forward or backward is wrong."""

from collections.abc import Callable
from dataclasses import replace

from parity.cases.case import Case
from parity.lanes.facts import Difference
from parity.rows.row import Row

DRAWS = 3  # draws of numbers per network: in a single one, ReLUs may block all gradients


def first_wrong_layer(row: Row, case: Case, run: Callable[[Case], list[Difference]]) -> str | None:
    """The last layer of the shortest network, made of the case's first layers, that differs from torch's.

    Shorter networks agree in the output and in every gradient. So the layer's own forward or backward is wrong,
    even if the difference appears far from it in the whole network.

    Args:
        row: a row of networks that their cases describe.
        case: a failing case.
        run: returns the differences on a case.

    Returns:
        its name; None if the row has no such networks, or none of the shorter ones fails.
    """
    if row.prefixes is None:
        return None
    for name, network in row.prefixes(case):
        for seed in range(DRAWS):
            try:
                if run(replace(network, seed=case.seed + seed)):
                    return name
            except Exception:  # the implementation does not support this network
                break
    return None
