"""1×1 convolutions of images in several memory layouts."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch.nn.functional as F

from numpy_cnn.ops import conv2d
from numpy_cnn.ops.fast.windows import batch_first, batch_last

Array = npt.NDArray[np.float32]


@pytest.mark.parametrize(
    "lay",
    [
        np.ascontiguousarray,
        np.asfortranarray,
        lambda a: batch_first(batch_last(a)),
        lambda a: batch_first(batch_last(a).swapaxes(0, 1).copy().swapaxes(0, 1)),
        lambda a: a[::-1, :, ::-1],
    ],
    ids=["contiguous", "Fortran order", "batch innermost", "batch innermost, rows outermost", "negative strides"],
)
@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("images", [0, 1, 5])
def test_1x1_conv2d_is_bit_identical_to_torch(lay: Callable[[Array], Array], groups: int, images: int) -> None:
    draw = np.random.default_rng(groups).integers
    x, w, b, dy = (
        lay(draw(-8, 9, shape).astype(np.float32)) if len(shape) == 4 else draw(-8, 9, shape).astype(np.float32)
        for shape in [(images, 6, 9, 11), (12, 6 // groups, 1, 1), (12,), (images, 12, 9, 11)]
    )
    theirs = [torch.tensor(np.ascontiguousarray(a), requires_grad=True) for a in (x, w, b)]
    expected = F.conv2d(*theirs, groups=groups)
    y, pullback = conv2d(x, w, b, groups=groups)
    np.testing.assert_array_equal(y, expected.detach().numpy())
    gradients = torch.autograd.grad(expected, theirs, torch.tensor(np.ascontiguousarray(dy)))
    for ours, their in zip(pullback(dy), gradients, strict=True):
        np.testing.assert_array_equal(ours, their.numpy())
