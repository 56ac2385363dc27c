"""Checked by the installed wheel."""

from my_layers import Linear, Transposed, relu, softmax_loss

import parity

test_relu = parity.case("relu", relu)


class TestLayers:
    test_linear = parity.case("linear", Linear)


def test_loss() -> None:
    report = parity.check("cross_entropy", softmax_loss)
    assert report.ok, report


def test_a_mistake() -> None:
    report = parity.check("linear", Transposed)
    assert [failure.quantity for failure in report.failures] == ["grad_weight"]
