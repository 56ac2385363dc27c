"""This project's NumPy backend."""

from collections.abc import Callable

from cases import Case, arrays, images, options

from numpy_cnn import ops
from numpy_cnn.backend import Backend
from numpy_cnn.common.spec.architecture import preset
from numpy_cnn.common.spec.config import OptimizerConfig
from numpy_cnn.common.spec.initial import initial_parameters
from numpy_cnn.ops.fast.windows import batch_first, batch_last


def prepare(workload: str, case: Case, variant: str = "", threads: int = 1) -> Callable[[], object]:
    """What is to be timed; with `variant` "batch-innermost" on arrays in the layout that the ops hand on.

    Threads share a batch. An op by itself has one.
    """
    if workload in ("step", "inference"):
        x, labels = images(case)
        network = preset("hidden")
        backend = Backend(network, initial_parameters(network, 0, x.dtype), OptimizerConfig(), threads=threads)
        if workload == "step":
            return lambda: backend.train_step(x, labels, 1e-3)
        return lambda: backend.logits(x)
    x, weight, bias, dy = arrays(case)
    if variant == "batch-innermost":
        x, dy = batch_first(batch_last(x)), batch_first(batch_last(dy))
    chosen = options(case)
    if workload == "forward":
        return lambda: ops.conv2d(x, weight, bias, **chosen)
    return lambda: ops.conv2d(x, weight, bias, **chosen)[1](dy)
