"""The enlarged position: the one with the largest response of a kernel."""

from dataclasses import dataclass

import numpy as np

from numpy_cnn.common.exhibits.walkthrough.lesson import Lesson
from numpy_cnn.common.exhibits.walkthrough.trace import Array, Trace


@dataclass(frozen=True)
class Focus:
    """A place on a feature map, with the kernel's inputs and the gradient there.

    Args:
        filter, row, column: of the feature map.
        kernel: (kh, kw).
        patch: (kh, kw), the inputs under the kernel, with zeros beyond the edge.
        top, left: of the patch on the input; negative beyond the edge.
        bias: of the filter, 0 if it has none.
        answer: the sum of products and bias: the value of the feature map.
        pool: (row, column) of the pooled value that the place belongs to.
        window: (pool, pool), the inputs of the pooling.
        routed: (pool, pool), the gradients of these inputs.
        gradient: dloss/danswer, before ReLU.
    """

    filter: int
    row: int
    column: int
    kernel: Array
    patch: Array
    top: int
    left: int
    bias: float
    answer: float
    pool: tuple[int, int]
    window: Array
    routed: Array
    gradient: float


def loudest(lesson: Lesson, trace: Trace) -> Focus:
    """The place with the largest value after ReLU, among those that pooling uses."""
    a = lesson.architecture
    relu = trace.values["relu1"][0]
    height, width = (size * a.pool for size in trace.values["pool1"].shape[2:])
    inside = relu[:, :height, :width]
    f, row, column = (int(at) for at in np.unravel_index(int(inside.argmax()), inside.shape))
    top, left = row * a.stride - a.padding, column * a.stride - a.padding
    padded = np.pad(lesson.inputs[0, 0], a.padding)
    patch = padded[row * a.stride :, column * a.stride :][: a.kernel_size, : a.kernel_size]
    up, across = row // a.pool, column // a.pool
    window = np.s_[up * a.pool : (up + 1) * a.pool, across * a.pool : (across + 1) * a.pool]
    return Focus(
        f,
        row,
        column,
        lesson.parameters["conv1.weight"][f, 0],
        patch,
        top,
        left,
        float(lesson.parameters["conv1.bias"][f]) if "conv1.bias" in lesson.parameters else 0.0,
        float(trace.values["conv1"][0, f, row, column]),
        (up, across),
        relu[f][window],
        trace.gradients["relu1"][0, f][window],
        float(trace.gradients["conv1"][0, f, row, column]),
    )
