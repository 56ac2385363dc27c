"""The arrays of one pass, as the page receives them: safetensors, in float32."""

from collections.abc import Mapping

import numpy as np

from numpy_cnn.common.exhibits.walkthrough.trace import Array, Trace

Arrays = dict[str, Array]


def record(trace: Trace, parameters: Mapping[str, Array] | None = None) -> Arrays:
    """The numbers of a pass for the page.

    Args:
        trace: the pass.
        parameters: those it was computed with, if the page cannot derive them from the previous step's.

    Returns:
        `value.NODE` and `gradient.NODE` without the batch axis, `gradient of NAME` of every parameter that is not
        a matrix (a dense layer's gradient is the outer product of two arrays that are there), `probabilities`,
        `loss`, and `parameter.NAME`.
    """
    arrays = {f"value.{name}": value[0] for name, value in trace.values.items()}
    arrays |= {f"gradient.{name}": gradient[0] for name, gradient in trace.gradients.items()}
    arrays |= {f"dparameter.{name}": array for name, array in trace.parameters.items() if array.ndim != 2}
    arrays |= {f"parameter.{name}": array for name, array in (parameters or {}).items()}
    return arrays | {"probabilities": trace.probabilities[0], "loss": np.array([trace.loss])}


def differences(own: Mapping[str, Array], other: Mapping[str, Array]) -> Arrays:
    """`difference.NAME`: own − other, for every value and gradient, and the loss."""
    names = [name for name in own if name.startswith(("value.", "gradient.")) or name == "loss"]
    return {f"difference.{name}": np.subtract(own[name], other[name], dtype=np.float64) for name in names}


def float32(arrays: Mapping[str, Array]) -> Arrays:
    """The arrays in the page's format."""
    return {name: np.ascontiguousarray(array, "<f4") for name, array in arrays.items()}
