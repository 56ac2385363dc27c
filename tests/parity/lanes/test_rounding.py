"""On small integers, roundoff within the bound of real numbers is a note; a mistake is not."""

from typing import Any

import numpy as np
import pytest

import parity


def of_norm(x: Any, target: Any) -> Any:
    """The mean square as the square of a rounded root."""
    d = (x - target).ravel()
    return np.linalg.norm(d) ** 2 / max(d.size, 1), (x - target) * x.dtype.type(2 / max(d.size, 1))


def off_by_little(x: Any, target: Any) -> Any:
    loss, dx = of_norm(x, target)
    return loss * (1 + 1e-4), dx


@pytest.mark.parametrize(("loss", "right"), [(of_norm, True), (off_by_little, False)])
def test_a_loss_by_a_rounded_root(loss: Any, right: bool) -> None:
    report = parity.check("mse_loss", loss, examples=60, seed=0, lanes=["exact", "structure", "special"])
    assert report.ok == right, report


def test_silu_by_the_tanh_of_half_the_input_is_within_its_bound() -> None:
    def silu(x: Any) -> Any:
        s = (1 + np.tanh(x / 2)) / 2
        return x * s, lambda dy: (dy * (s * (1 + x * (1 - s))),)

    assert parity.check("silu", silu, examples=100, seed=0).ok
