"""The layer of a network whose own forward or backward is wrong."""

from collections.abc import Callable
from dataclasses import replace

from parity.cases.case import Case
from parity.lanes.facts import Difference
from parity.rows.row import Row

DRAWS = 3  # of numbers per network: a ReLU may stop every gradient of one draw


def first_wrong_layer(row: Row, case: Case, run: Callable[[Case], list[Difference]]) -> str | None:
    """The last layer of the shortest network, made of the case's first layers, that differs from torch's.

    The networks before it agree in the output and in every gradient. So what is wrong is the layer's own forward
    or backward, however far from it the difference shows in the whole network.

    Args:
        row: a row of networks that their cases describe.
        case: one that fails.
        run: what differs on a case.

    Returns:
        its name, or None where the row has no such networks or none of them fails by itself.
    """
    if row.prefixes is None:
        return None
    for name, network in row.prefixes(case):
        for seed in range(DRAWS):
            try:
                if run(replace(network, seed=case.seed + seed)):
                    return name
            except Exception:  # the implementation does not do this network by itself
                break
    return None
