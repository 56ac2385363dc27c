"""Calls as users of torch write them, each of which once gave another result than torch or was rejected."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from numpy_cnn import ops

sys.path.insert(0, str(Path(__file__).parent))
from test_random_calls import assert_same, expected


def array(*shape: int) -> Any:
    return np.asarray(np.random.default_rng(0).standard_normal(shape))


CALLS: list[tuple[str, list[Any], dict[str, Any]]] = [
    ("softmax", [array(2, 3)], {}),
    ("log_softmax", [array(2, 3, 4)], {"dim": None}),
    ("softmax", [array(2, 3).astype("float32")], {"dim": 1, "dtype": np.dtype("float64")}),
    ("log_softmax", [array()], {"dim": -1, "dtype": np.dtype("float32")}),
    ("linear", [array(2, 3), array(4, 3), array(1)], {}),
    ("linear", [array(2, 3), array(4, 3), array()], {}),
    ("batch_norm", [array(0), array(0), array(0)], {"training": True}),
    ("batch_norm", [array(0), None, None], {"training": False}),
    ("batch_norm", [array(0, 4, 3), None, None, array(4), array(4)], {"training": False}),
    ("instance_norm", [array(2, 0, 3)], {}),
    ("dropout", [array(2, 3)], {"p": 0.0}),
    ("dropout2d", [array(2, 3, 4)], {"p": 1.0}),
    ("dropout2d", [array()], {"training": False}),
    ("interpolate", [array(1, 2, 4, 4)], {"scale_factor": 1.01}),
    ("interpolate", [array(1, 2, 4, 4)], {"scale_factor": (1.01, 2.1)}),
    ("interpolate", [array(1, 2, 4)], {"scale_factor": 1.2, "mode": "linear"}),
    ("interpolate", [array(1, 2, 4, 4)], {"scale_factor": (1.1, 1.5), "mode": "bilinear"}),
    ("interpolate", [array(1, 1, 4, 5, 6)], {"size": (3, 5, 2), "mode": "area"}),
    ("interpolate", [array(0, 2, 3, 3, 3)], {"size": 5, "mode": "area"}),
    ("interpolate", [array(1, 2, 9, 8)], {"size": (4, 3), "mode": "bilinear", "antialias": True}),
    ("interpolate", [array(1, 2, 9, 8)], {"scale_factor": 0.3, "mode": "bicubic", "antialias": True}),
    ("interpolate", [array(1, 2, 5, 4)], {"size": 7, "mode": "bicubic", "align_corners": True, "antialias": True}),
    ("binary_cross_entropy_with_logits", [np.array([0.0, 100.0]), np.full(2, np.inf)], {"reduction": "none"}),
    ("smooth_l1_loss", [np.float32([0.5, -3, 0]), np.zeros(3, np.float32)], {"beta": 1e-45, "reduction": "none"}),
]


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(("name", "arrays", "options"), CALLS, ids=lambda value: str(value)[:40])
def test_the_result_is_that_of_torch(name: str, arrays: list[Any], options: dict[str, Any]) -> None:
    theirs = expected(name, (arrays, options))
    assert not isinstance(theirs, str), theirs
    y, pullback = getattr(ops, name)(*arrays, **options)
    assert_same(name, y, theirs[0][0], (arrays, options))
    for got, want in zip(pullback(theirs[2]), theirs[1], strict=False):
        if want is not None:
            assert_same(name, got, want, (arrays, options))


@pytest.mark.parametrize("name", ["softmax", "log_softmax"])
def test_without_dim_a_warning_names_the_axis(name: str) -> None:
    with pytest.warns(UserWarning, match=f"{name}: without dim the axis is 1 for 2 axes"):
        getattr(ops, name)(array(2, 3))


def test_dtypes_of_torch_are_accepted() -> None:
    assert ops.softmax(array(2), 0, torch.float32)[0].dtype == np.float32


@pytest.mark.parametrize("name", ["relu", "softmax", "conv2d", "max_pool2d", "mse_loss", "nll_loss", "layer_norm"])
def test_none_in_place_of_the_input_is_rejected(name: str) -> None:
    rest = {"softmax": (0,), "conv2d": (array(1, 1, 1, 1),), "max_pool2d": (2,), "layer_norm": ((3,),)}
    more = rest.get(name, (array(2),) if name.endswith("loss") else ())
    with pytest.raises(ValueError, match=f"^{name}: input must be a NumPy array, got NoneType"):
        getattr(ops, name)(None, *more)


@pytest.mark.parametrize("place", [0, 1, 2])
def test_byte_orders_may_differ(place: int) -> None:
    arrays = [array(2, 3, 5, 5), array(4, 3, 2, 2), array(4)]
    other = [a.astype(">f8") if i == place else a for i, a in enumerate(arrays)]
    (y, pullback), (swapped, swapped_pullback) = ops.conv2d(*arrays), ops.conv2d(*other)
    np.testing.assert_array_equal(swapped, y)
    for got, want in zip(swapped_pullback(y), pullback(y), strict=True):
        np.testing.assert_array_equal(got, want)
