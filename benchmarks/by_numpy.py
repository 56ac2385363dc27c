"""This project's NumPy backend."""

from collections.abc import Callable

import numpy as np
from cases import Case, arrays, images, options
from layers import arguments

from numpy_cnn import ops
from numpy_cnn.backend import Backend
from numpy_cnn.common.spec.architecture import preset
from numpy_cnn.common.spec.config import OptimizerConfig
from numpy_cnn.common.spec.initial import initial_parameters
from numpy_cnn.ops.fast.windows import batch_first, batch_last


def prepare(workload: str, case: Case, variant: str = "", threads: int = 1) -> Callable[[], object]:
    """The function to time. The variant "batch-innermost" uses the memory layout that the ops return.

    Threads share the batch of a network; a single op runs in one thread.
    """
    if workload in ("step", "network", "inference"):
        x, labels = images(case)
        network = preset(case.get("arch", "hidden"))
        backend = Backend(network, initial_parameters(network, 0, x.dtype), OptimizerConfig(), threads=threads)
        if workload != "inference":
            return lambda: backend.train_step(x, labels, 1e-3)
        return lambda: backend.logits(x)
    if workload.startswith("layer"):
        return _layer(workload, case)
    x, weight, bias, dy = arrays(case)
    if variant == "batch-innermost":
        x, dy = batch_first(batch_last(x)), batch_first(batch_last(dy))
    chosen = options(case)
    if workload == "forward":
        return lambda: ops.conv2d(x, weight, bias, **chosen)
    return lambda: ops.conv2d(x, weight, bias, **chosen)[1](dy)


def _layer(workload: str, case: Case) -> Callable[[], object]:
    name, given, chosen = arguments(case)
    op = getattr(ops, name)
    if name.startswith("dropout"):
        shape = given[0].shape if name == "dropout" else given[0].shape[:2]
        chosen["mask"] = np.random.default_rng(0).random(shape) >= chosen["p"]
    if workload == "layer forward":
        return lambda: op(*given, **chosen)
    dy = np.ones_like(op(*given, **chosen)[0])
    return lambda: op(*given, **chosen)[1](dy)
