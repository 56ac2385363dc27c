"""Sets and reads the running statistics and the mode of a layer that has them as attributes."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from parity.cases.state import keep
from parity.subjects import names
from parity.subjects.arguments import Arguments
from parity.subjects.attributes import space_of
from parity.subjects.locate_gradients import mentions, objects, parameter_holder
from parity.subjects.names import plain

ALIASES = frozenset(alias for alias, option in names.OPTIONS.items() if option in names.STATISTICS)
Holders = dict[str, tuple[Any, Any]]


def _holders(layer: Any, arguments: Arguments) -> Iterator[tuple[str, tuple[Any, Any]]]:
    """Yield (torch's name, (mapping, key)) for each running statistic of a layer."""
    for name in names.STATISTICS:
        holder = parameter_holder(layer, frozenset(a for a in ALIASES if names.OPTIONS[a] == name))
        if holder is not None and name in arguments.options and mentions(layer, holder[1]):
            yield name, holder


def set_in(layer: Any, arguments: Arguments) -> Holders:
    """Set the running statistics and the mode of the case; return where the statistics are stored."""
    found = dict(_holders(layer, arguments))
    for name, (space, key) in found.items():
        value = arguments.options[name]
        own = space[key]
        value = value.reshape(value.shape if own is None else np.shape(own)).copy()
        space[key] = torch.from_numpy(value) if isinstance(own, torch.Tensor) else value
        arguments.read.add(name)
    of_torch = isinstance(layer, torch.nn.Module)  # its mode is set by train()
    if "training" in arguments.options.keys() - arguments.read and not of_torch:
        for owner in objects(layer):
            for key, own in space_of(owner).items():
                if names.OPTIONS.get(plain(key)) == "training" and isinstance(own, bool):
                    setattr(owner, key, arguments.options["training"])
                    arguments.read.add("training")
    return found


def keep_from(holders: Holders) -> None:
    """Report the values of these statistics after the call."""
    for name, (space, key) in holders.items():
        if space[key] is not None:
            keep(name, space[key])
