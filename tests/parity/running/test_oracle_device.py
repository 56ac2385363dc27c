"""The oracle on another device: all tensors of a row move there."""

from __future__ import annotations

import pytest
import torch

import parity
from numpy_cnn.common.spec.errors import UserError
from parity.cases import torch_op

GPU = pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")


def test_the_oracle_runs_on_its_device_which_is_then_reset() -> None:
    seen = []

    def like(x: torch.Tensor) -> torch.Tensor:
        seen.append(x.device.type)
        return torch.relu(x)

    with torch_op.oracle_on(torch.device("meta")), pytest.raises(NotImplementedError, match="meta"):
        torch_op.oracle(like)(torch.zeros(2).numpy())
    torch_op.oracle(like)(torch.zeros(2).numpy())
    assert seen == ["meta", "cpu"]


@pytest.mark.skipif(torch.cuda.is_available(), reason="needs a machine without CUDA device")
def test_a_missing_device_is_reported() -> None:
    with pytest.raises(UserError, match="has no CUDA device"):
        parity.check("relu", examples=1, device="cuda")


@GPU
@pytest.mark.parametrize("name", ["conv2d", "linear", "max_pool2d", "batch_norm", "cross_entropy"])
def test_cudnn_passes_the_lanes(name: str) -> None:
    report = parity.check(name, examples=20, device="cuda", lanes=["exact", "bound"])
    assert report.ok, report
