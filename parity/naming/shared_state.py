"""Optimizers that find their state by the shape of the parameter: two parameters of one shape share it."""

from collections.abc import Iterator

import numpy as np
import torch

from parity.cases.op import Array
from parity.naming.explanation import Explanation, Formula, mistake
from parity.naming.probe import Probe

NEIGHBOUR = (2,)  # the shape of the other parameter of each case; its gradient is its value


def _shared(kind: str, first: bool) -> Formula:
    """torch's steps with one state for both parameters; `first`: the neighbour comes before the parameter."""

    def formula(probe: Probe) -> Array:
        given, *gradients = probe.arrays.values()
        assert given is not None
        if given.shape != NEIGHBOUR:
            return probe.reference()
        parameters = [torch.ones(NEIGHBOUR, dtype=torch.float64), torch.from_numpy(given.astype(np.float64))]
        optimizers = [getattr(torch.optim, kind)([p.requires_grad_()], **probe.options) for p in parameters]
        optimizers[1].state[parameters[1]] = optimizers[0].state[parameters[0]]
        found = []
        for gradient in gradients:
            parameters[0].grad = parameters[0].detach().clone()
            parameters[1].grad = None if gradient is None else torch.from_numpy(gradient.astype(np.float64))
            for optimizer in optimizers if first else optimizers[::-1]:
                optimizer.step()
            found.append(parameters[1].detach().numpy().copy())
        return np.stack(found)

    return formula


def shared_by_shape(kind: str) -> Iterator[Explanation]:
    """The explanations for an optimizer of torch."""
    for first in (True, False):
        yield mistake("state-by-shape", "output", formula=_shared(kind, first))
