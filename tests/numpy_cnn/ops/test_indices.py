"""The positions of the maxima, which the rows do not compare, equal torch's, also for ties, NaN and −∞."""

from typing import Any, Literal

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from numpy_cnn import ops


def images(seed: int) -> Any:
    draw = np.random.default_rng(seed)
    x = draw.integers(-3, 4, (2, 3, 7, 8)).astype(np.float32)  # few values, so that ties are common
    special = draw.choice(np.array([np.nan, np.inf, -np.inf], np.float32), x.shape)
    return np.where(draw.random(x.shape) < 0.3 * (seed % 2), special, x)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("max_pool2d", {"kernel_size": 3, "stride": 2, "padding": 1}),
        ("max_pool2d", {"kernel_size": 2}),
        ("max_pool2d", {"kernel_size": 2, "stride": 1, "dilation": 2, "ceil_mode": True}),
        ("adaptive_max_pool2d", {"output_size": (3, 5)}),
        ("adaptive_max_pool2d", {"output_size": (9, None)}),
    ],
)
def test_indices_equal_torchs(seed: int, name: str, options: dict[str, Any]) -> None:
    x = images(seed)
    (y, indices), pullback = getattr(ops, name)(x, **options, return_indices=True)
    expected, their = getattr(F, name)(torch.from_numpy(x), **options, return_indices=True)
    np.testing.assert_array_equal(y, expected.numpy())
    np.testing.assert_array_equal(indices, their.numpy())
    assert indices.dtype == np.int64
    (alone, of_one), pullback_of_one = getattr(ops, name)(x[0], **options, return_indices=True)
    np.testing.assert_array_equal(of_one, indices[0])
    np.testing.assert_array_equal(pullback_of_one(np.ones_like(alone))[0], pullback(np.ones_like(y))[0][0])


@pytest.mark.parametrize(
    ("indices", "options", "message"),
    [
        (np.full((1, 2, 2), 16), {}, "max_unpool2d: index 16 is outside the output (4, 4) of the input (1, 2, 2)"),
        (np.full((1, 2, 2), -1), {}, "max_unpool2d: index -1 is outside the output (4, 4) of the input (1, 2, 2)"),
        (
            np.zeros((1, 2, 2), np.int32),
            {},
            "max_unpool2d: indices must be int64 of shape (1, 2, 2), got int32",
        ),
        (
            np.zeros((1, 2, 2), np.int64),
            {"output_size": (7, 4)},
            "max_unpool2d: output_size must be within a stride of (4, 4), got (7, 4)",
        ),
    ],
)
def test_invalid_indices_and_sizes_are_rejected(indices: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=r"^max_unpool2d: ") as error:
        ops.max_unpool2d(np.ones((1, 2, 2)), indices, 2, **options)
    assert str(error.value).startswith(message)


def test_unpooling_inverts_pooling_at_the_maxima() -> None:
    (y, indices), _ = ops.max_pool2d(images(0), 2, return_indices=True)
    restored, pullback = ops.max_unpool2d(y, indices, 2)
    np.testing.assert_array_equal(ops.max_pool2d(np.where(restored == 0, -9, restored), 2)[0][y != 0], y[y != 0])
    np.testing.assert_array_equal(pullback(restored)[0], y)


@pytest.mark.parametrize("name", ["nll_loss", "cross_entropy"])
@pytest.mark.parametrize("reduction", ["none", "sum", "mean"])
def test_without_classes_every_target_is_ignored(name: str, reduction: Literal["none", "sum", "mean"]) -> None:
    x, target = np.zeros((2, 0)), np.full(2, -100)
    theirs = getattr(F, name)(torch.from_numpy(x), torch.from_numpy(target), reduction=reduction)
    y, pullback = getattr(ops, name)(x, target, reduction=reduction)
    np.testing.assert_array_equal(y, theirs)
    assert pullback(np.ones_like(y))[0].shape == x.shape


def test_an_unbatched_image_is_unpooled() -> None:
    x = torch.arange(2 * 4 * 6, dtype=torch.float64).reshape(2, 4, 6)
    y, indices = F.max_pool2d(x, 2, return_indices=True)
    ours, pullback = ops.max_unpool2d(y.numpy(), indices.numpy(), 2)
    np.testing.assert_array_equal(ours, F.max_unpool2d(y, indices, 2))
    np.testing.assert_array_equal(pullback(x.numpy())[0], y)


@pytest.mark.parametrize("mode", ["nearest", "nearest-exact"])
@pytest.mark.parametrize(("size", "windows"), [(2, 25), (2, 29), (3, 43), (7, 49), (49, 7), (5, 199)])
def test_nearest_neighbours_are_chosen_in_single_precision(mode: str, size: int, windows: int) -> None:
    x = torch.arange(size, dtype=torch.float64).reshape(1, 1, size)
    y, _ = ops.interpolate(x.numpy(), windows, mode=mode)
    np.testing.assert_array_equal(y, F.interpolate(x, windows, mode=mode))
