"""Instances of torch's modules are checked with their own settings."""

from typing import Any

import pytest
import torch
from torch import nn

import parity

pytestmark = pytest.mark.usefixtures("named")

INSTANCES: list[tuple[str, Any, str]] = [
    ("conv2d", nn.Conv2d(3, 8, 3, stride=2), "stride=2"),
    ("batch_norm", nn.BatchNorm2d(4), "rank=4"),
    ("batch_norm", nn.BatchNorm1d(3, momentum=None), "momentum=1.0"),
    ("batch_norm", nn.BatchNorm2d(4, affine=False, track_running_stats=False), "bias=false"),
    ("instance_norm", nn.InstanceNorm2d(3), "rank=4"),
    ("layer_norm", nn.LayerNorm(7), "normalized_shape=7"),
    ("layer_norm", nn.LayerNorm((3, 4), elementwise_affine=False), "normalized_shape=3,4"),
    ("max_pool2d", nn.MaxPool2d(2), "kernel_size=2"),
    ("max_unpool2d", nn.MaxUnpool2d(2), "kernel_size=2"),
    ("interpolate", nn.Upsample(scale_factor=2, mode="bilinear"), "mode=bilinear"),
    ("interpolate", nn.Upsample(size=(4, 5)), "size=4,5"),
    ("interpolate", nn.UpsamplingBilinear2d(scale_factor=2), "align_corners=true"),
    ("pad", nn.ZeroPad2d((1, 2, 0, 1)), "pad=1,2,0,1"),
    ("pad", nn.ZeroPad2d, "mode=constant"),
    ("pad", nn.ReflectionPad2d(1), "mode=reflect"),
    ("pad", nn.ConstantPad2d(1, 2.0), "value=2.0"),
    ("dropout", nn.Dropout(0.2), "p=0.5|0.75"),
    ("cross_entropy", nn.CrossEntropyLoss(label_smoothing=0.1, reduction="sum"), "label_smoothing=0.1"),
    ("nll_loss", nn.NLLLoss(ignore_index=1), "ignore_index=1"),
    ("binary_cross_entropy_with_logits", nn.BCEWithLogitsLoss(pos_weight=torch.tensor([2.0])), "reduction=mean"),
]


@pytest.mark.parametrize(("row", "module", "setting"), INSTANCES, ids=lambda value: str(value)[:40])
def test_its_settings_restrict_the_cases(row: str, module: Any, setting: str) -> None:
    report = parity.check(row, module, examples=6)
    assert report.ok, report
    assert report.cases >= 12, report
    assert any(setting in note for note in report.rows[0].notes), report.rows[0].notes


class Cropped(nn.ZeroPad2d):
    """It pads at the wrong side."""

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        return super().forward(input).roll(1, -1)


def test_a_mistake_is_found() -> None:
    (failure, *_) = parity.check("pad", Cropped(1), examples=20, lanes=["exact"]).failures
    assert failure.quantity == "output"
