"""conv2d by patches and by rows is bit-identical to torch for every block size."""

from types import ModuleType

import numpy as np
import numpy.typing as npt
import pytest
import torch
import torch.nn.functional as F  # the name the field uses
from hypothesis import given, settings
from hypothesis import strategies as st

from numpy_cnn.ops import conv2d
from numpy_cnn.ops.fast import matmul, patches
from numpy_cnn.ops.fast import rows as by_rows
from numpy_cnn.ops.fast.windows import batch_first, batch_last

Array = npt.NDArray[np.float32]
pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


@given(
    seed=st.integers(0, 2**32 - 1),
    images=st.sampled_from([1, 3, 17]),
    groups=st.integers(1, 3),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=pairs,
    dilation=pairs,
    padding=st.tuples(st.integers(0, 3), st.integers(0, 3)),
    innermost=st.booleans(),
    cuts=st.fixed_dictionaries(
        {
            (patches, "LONG"): st.sampled_from([1, 30, 2048]),
            (patches, "ROWS"): st.sampled_from([1, 8]),
            (by_rows, "KERNELS"): st.sampled_from([1, 16]),
            (by_rows, "DEEP"): st.sampled_from([1, 1, 1000]),
            (matmul, "SMALL"): st.sampled_from([10, 10_000, 1_000_000]),
            (matmul, "DIRECT"): st.booleans(),
            (matmul, "TURNED"): st.sampled_from([0, 1_200]),
        }
    ),
    size=st.sampled_from([1, 1_000, 1 << 20]),
    short=st.sampled_from([1, 1, 64]),
)
@settings(max_examples=200)
def test_conv2d_gives_identical_bits_for_every_block_size(
    seed: int,
    images: int,
    groups: int,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
    padding: tuple[int, int],
    innermost: bool,
    cuts: dict[tuple[ModuleType, str], int],
    size: int,
    short: int,
) -> None:
    draw = np.random.default_rng(seed)

    def integers(*shape: int) -> Array:
        return draw.integers(-8, 9, shape).astype(np.float32)  # every sum is exact in any order

    spans = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    height, width = (max(1, span - 2 * p + int(draw.integers(12))) for span, p in zip(spans, padding, strict=True))
    x, w = integers(images, 2 * groups, height, width), integers(3 * groups, 2, *kernel)
    b = integers(3 * groups)
    options = (stride, padding, dilation, groups)
    theirs = [torch.tensor(array, requires_grad=True) for array in (x, w, b)]
    expected = F.conv2d(*theirs, *options)
    dy = integers(*expected.shape)
    if innermost:
        x, dy = (batch_first(batch_last(array)) for array in (x, dy))
    with pytest.MonkeyPatch.context() as patch:
        for (module, name), value in cuts.items():
            patch.setattr(module, name, value)
        for module in (by_rows, patches):
            patch.setattr(module, "BYTES", size)
            patch.setattr(module, "SHORT", short)
        matmul.size_of_piece.cache_clear()
        y, pullback = conv2d(x, w, b, *options)
        gradients = pullback(dy)
        matmul.size_of_piece.cache_clear()
    np.testing.assert_array_equal(y, expected.detach().numpy())
    for ours, their in zip(
        gradients, torch.autograd.grad(expected, theirs, torch.from_numpy(dy.copy())), strict=True
    ):
        np.testing.assert_array_equal(ours, their.numpy())
