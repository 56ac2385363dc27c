"""Kaiming and Xavier initialization follow torch's formulas and statistics."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import torch

from numpy_cnn.common.spec.architecture import preset
from numpy_cnn.common.spec.initial import initial_parameters
from numpy_cnn.common.spec.initializers import (
    WEIGHTS,
    Initializer,
    fans,
    kaiming_std,
    normal,
    uniform,
    xavier_std,
)

SHAPES = [(200, 30, 3, 3), (300, 200)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("a", [0.0, 0.2, math.sqrt(5)])
@pytest.mark.parametrize("mode", ["fan_in", "fan_out"])
def test_kaiming_is_torchs(shape: tuple[int, ...], a: float, mode: Any) -> None:
    torch.manual_seed(0)
    std = kaiming_std(shape, a, mode)
    # The largest of n uniform numbers is below the limit by 1/n on average, and by 20/n with probability e⁻²⁰; the
    # deviation of n normal ones has a relative standard error of 1/√(2n).
    theirs = torch.nn.init.kaiming_uniform_(torch.empty(shape), a=a, mode=mode).numpy()
    assert np.abs(theirs).max() == pytest.approx(math.sqrt(3) * std, rel=20 / theirs.size)
    theirs = torch.nn.init.kaiming_normal_(torch.empty(shape), a=a, mode=mode).numpy()
    assert theirs.std() == pytest.approx(std, rel=6 / math.sqrt(2 * theirs.size))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("gain", [1.0, 5 / 3])
def test_xavier_is_torchs(shape: tuple[int, ...], gain: float) -> None:
    torch.manual_seed(0)
    std = xavier_std(shape, gain)
    theirs = torch.nn.init.xavier_uniform_(torch.empty(shape), gain=gain).numpy()
    assert np.abs(theirs).max() == pytest.approx(math.sqrt(3) * std, rel=20 / theirs.size)
    theirs = torch.nn.init.xavier_normal_(torch.empty(shape), gain=gain).numpy()
    assert theirs.std() == pytest.approx(std, rel=6 / math.sqrt(2 * theirs.size))


@pytest.mark.parametrize(("draw", "moments"), [(uniform, (1, 9 / 5, 9)), (normal, (1, 3, 105))])
def test_the_distributions_have_their_moments(draw: Any, moments: tuple[float, float, float]) -> None:
    """Within six standard errors; that of the mean of x² is √((E[x⁴] − E[x²]²) / n), and so on."""
    numbers = draw(np.random.default_rng(0), (400, 500), 0.25) / 0.25
    second, fourth, eighth = moments
    assert abs(numbers.mean()) < 6 * math.sqrt(second / numbers.size)
    for power, moment, of_square in ((2, second, fourth), (4, fourth, eighth)):
        error = math.sqrt((of_square - moment**2) / numbers.size)
        assert abs((numbers**power).mean() - moment) < 6 * error


@pytest.mark.parametrize("shape", [(0, 3), (3, 0), (0, 0), (2, 3, 0)])
def test_a_weight_without_numbers_has_no_deviation(shape: tuple[int, ...]) -> None:
    assert kaiming_std(shape, mode="fan_in") == kaiming_std(shape, mode="fan_out") == xavier_std(shape) == 0


def test_an_unknown_mode_is_rejected() -> None:
    with pytest.raises(ValueError, match="mode must be 'fan_in' or 'fan_out', got 'fan_avg'"):
        kaiming_std((2, 3), mode="fan_avg")  # type: ignore[arg-type]  # the mistake


def test_fans_of_a_vector_are_rejected() -> None:
    assert fans((4, 3, 2, 5)) == (30, 40)
    with pytest.raises(ValueError, match=r"at least two axes, got the shape \(3,\)"):
        fans((3,))


@pytest.mark.parametrize("init", WEIGHTS)
def test_a_network_starts_with_the_weights_of_torchs_function(init: Initializer) -> None:
    parameters = initial_parameters(preset("hidden"), 0, init=init)
    own, bias = parameters["fc1.weight"], parameters["fc1.bias"]
    theirs = torch.empty(own.shape)
    getattr(torch.nn.init, f"{init}_")(theirs, generator=torch.Generator().manual_seed(0))
    std = theirs.std().item()
    # Each deviation has a relative standard error of at most 1/√(2n), and their difference one of 1/√n.
    assert own.std() == pytest.approx(std, rel=6 / math.sqrt(own.size))
    # A uniform number is at most √3 deviations from 0; of 173,056 normal ones one in 22 is above 2.
    assert (abs(own).max() > 2 * std) == (theirs.abs().max().item() > 2 * std) == ("normal" in init)
    assert abs(bias).max() <= 1 / math.sqrt(own.shape[1])
