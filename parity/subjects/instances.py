"""Instances of torch's modules: their settings restrict the cases; their parameters and buffers are set."""

import copy
from typing import Any

import numpy as np
import torch

from parity.cases.restrict_resizing import SIZES
from parity.subjects import names
from parity.subjects.arguments import Arguments
from parity.subjects.errors import Declined
from parity.subjects.names import one_number

_MISSING = object()
# Options that a case may omit, and that a module may set to another value than torch's default.
_OMITTED = ("label_smoothing", "ignore_index")
_LENGTHS = ("normalized_shape", "pad")  # whose lengths count: (3, 3) is not 3


def configured(module: torch.nn.Module, arguments: Arguments) -> torch.nn.Module:
    """A copy of the module with the buffers of the case.

    Raises:
        Declined: the case has other options than the module, with all values that it has.
    """
    made, options = copy.deepcopy(module), arguments.options
    if hasattr(made, "num_features") and "in_channels" in arguments.sizes:
        made.num_features = arguments.sizes["in_channels"]  # checked by its forward; the parameters are set
    narrows: dict[str, Any] = {}
    for name in (*options, *(name for name in _OMITTED if name not in options)):
        own = getattr(module, "padding" if name == "pad" else name, _MISSING)
        if own is _MISSING or isinstance(own, torch.nn.Module) or name in ("training", *names.STATISTICS):
            continue
        value = options.get(name, names.DEFAULTS.get(name))
        if isinstance(own, torch.Tensor):
            if name not in made._parameters:
                setattr(made, name, torch.from_numpy(np.array(value)) if isinstance(value, np.ndarray) else None)
                arguments.read.add(name)
            continue
        if own is None and isinstance(value, np.ndarray):
            continue  # the weights of classes, which it does not have
        if own is None and name == "momentum":
            own = 1.0  # the average of one batch
        arguments.read.add(name)
        if name == "p":
            made.p = value  # the mask is drawn for some p only
        elif name in _LENGTHS and value != own:
            narrows[name] = own
        elif one_number(value) != one_number(own):
            narrows[name] = own if name in SIZES else one_number(own)
    if narrows:
        raise Declined(", ".join(f"its {name} is {value!r}" for name, value in narrows.items()), narrows)
    return made
