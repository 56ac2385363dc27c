"""The fixed kernels, each with the feature it detects."""

from typing import Any, Literal

import numpy as np
import numpy.typing as npt

Kernel = Literal["vertical-edge", "horizontal-edge", "sobel", "blur", "learned"]

# Integers and sixteenths: with pixels on a binary grid every sum is exact in any order.
KERNELS: dict[str, npt.NDArray[Any]] = {
    "vertical-edge": np.array([[1.0, 0.0, -1.0]] * 3),
    "horizontal-edge": np.array([[1.0, 0.0, -1.0]] * 3).T,
    "sobel": np.array([[1.0, 0.0, -1.0], [2.0, 0.0, -2.0], [1.0, 0.0, -1.0]]),
    "blur": np.array([[1.0, 2.0, 1.0], [2.0, 4.0, 2.0], [1.0, 2.0, 1.0]]) / 16,
}

LOOKS_FOR: dict[str, str] = {
    "vertical-edge": "places that are bright on the left and dark on the right",
    "horizontal-edge": "places that are bright above and dark below",
    "sobel": "places that are bright on the left and dark on the right, their middle row counted twice",
    "blur": "nothing: it mixes each pixel with its neighbours",
    "learned": "what it was trained to find",
}
