"""Mistakes in second derivatives: the pullback of a backward pass.

The cotangent of the backward pass, the direction, has one part for each array with a gradient.
"""

from collections.abc import Iterator

import numpy as np

from parity.cases.case import UPSTREAM
from parity.cases.op import Array
from parity.cases.state import BUFFERS
from parity.naming.explanation import Explanation, Formula, mistake
from parity.naming.general import FACTORS, ZERO, of_arguments
from parity.naming.probe import NotApplicable, Probe

MOST_ENTRIES = 128  # of an array whose diagonal is computed: each entry takes one call of the oracle


def directions(probe: Probe) -> dict[str, slice]:
    """The part of the direction that belongs to each array."""
    found, start = {}, 0
    for name, array in probe.arrays.items():
        if array is not None and array.dtype.kind == "f" and name not in (*BUFFERS, UPSTREAM):
            found[name] = slice(start, start + array.size)
            start += array.size
    return found


def _along(probe: Probe, name: str, others: bool) -> Array:
    """The result for the part of the direction that belongs to one array, or for all other parts."""
    parts = directions(probe)
    if name not in parts or len(parts) == 1:
        raise NotApplicable("there is only one direction")
    direction = probe.dy.copy() if others else np.zeros_like(probe.dy)
    direction[parts[name]] = 0 if others else probe.dy[parts[name]]
    return probe.with_upstream(direction).reference()


def _without(name: str) -> Formula:
    return lambda probe: _along(probe, name, others=True)


def _own_direction(probe: Probe) -> Array:
    return _along(probe, probe.quantity.removeprefix("grad_"), others=False)


def _at_direction(probe: Probe) -> Array:
    """The first derivative with the direction as the upstream gradient, for an op whose result has its shape."""
    name = probe.quantity.removeprefix("grad_")
    part = directions(probe).get(name)
    upstream = probe.array(UPSTREAM)
    if part is None or probe.array(name).shape != upstream.shape:
        raise NotApplicable("the direction has another shape than the output")
    direction = probe.dy[part].reshape(upstream.shape)
    gradients = probe.with_arrays(upstream=direction).of_quantity("output").reference()
    return gradients[part].reshape(upstream.shape)


def _diagonal(probe: Probe) -> Array:
    """The diagonal of the Hessian times the direction."""
    name = probe.quantity.removeprefix("grad_")
    part = directions(probe).get(name)
    if part is None or probe.array(name).size > MOST_ENTRIES:
        raise NotApplicable("too many entries, or no second derivatives")
    found = np.zeros_like(probe.array(name))
    for place, at in enumerate(range(part.start, part.stop)):
        unit = np.zeros_like(probe.dy)
        unit[at] = probe.dy[at]
        found.flat[place] = probe.with_upstream(unit).reference().flat[place]
    return found


SECOND = (
    mistake("second-derivative-zero", "grad_", result=ZERO.edit_result),
    *FACTORS,
    mistake("second-own-direction", "grad_", formula=_own_direction),
    mistake("second-is-first", "grad_", formula=_at_direction),
    mistake("second-diagonal", "grad_", formula=_diagonal),
)


def of_directions(arrays: tuple[str, ...]) -> Iterator[Explanation]:
    """Mistakes in one part of the direction, then those in an argument."""
    for name in arrays:
        if name != UPSTREAM:
            yield mistake("second-term-missing", "grad_", formula=_without(name), array=name)
    yield from of_arguments(arrays)
