"""What an error message tells the user to type works as typed."""

import functools
import re
from typing import Any

import numpy as np
import pytest

import parity
from parity.cases.errors import ArgumentError
from parity.subjects import Unrecognised

pytestmark = pytest.mark.usefixtures("as_found")


def hint_in(message: str, pattern: str) -> str:
    found = re.search(pattern, message)
    assert found is not None, message
    return found.group()


class GivenWeights:
    """Its own weights have another shape, and the constructor takes the sizes."""

    def __init__(self, in_features: int, out_features: int) -> None:
        self.weight = np.zeros(self.axes(in_features, out_features))
        self.bias = np.zeros(out_features)

    @staticmethod
    def axes(in_features: int, out_features: int) -> tuple[int, int]:
        return in_features, out_features

    def forward(self, x: Any) -> Any:
        self.x = x
        return x @ self.weight + self.bias

    def backward(self, dy: Any) -> Any:
        self.dweight, self.dbias = self.x.T @ dy, dy.sum(axis=0)
        return dy @ self.weight.T


class WithGizmo(GivenWeights):
    def __init__(self, in_features: int, out_features: int, gizmo: float) -> None:
        super().__init__(in_features, out_features)
        self.gizmo = gizmo

    def forward(self, x: Any) -> Any:
        return super().forward(x) * self.gizmo


def relu_with_gizmo(x: Any, gizmo: float) -> Any:
    return np.maximum(x, 0) * gizmo, lambda dy: (np.where(x > 0, dy, 0),)


@pytest.mark.parametrize(("row", "layer"), [("linear", WithGizmo), ("relu", relu_with_gizmo)])
def test_an_unknown_parameter_is_bound_by_a_partial(row: str, layer: Any) -> None:
    with pytest.raises(Unrecognised) as raised:
        parity.check(row, layer, examples=3)
    typed = hint_in(str(raised.value), r"functools\.partial\(.*\)").replace("…", "1")
    bound = eval(typed, {"functools": functools, layer.__name__: layer})
    assert parity.check(row, bound, examples=6).ok


def test_a_forward_alone_is_checked_as_the_message_says() -> None:
    def layer(x: Any) -> Any:
        return np.where(x > 0, x, 0).astype(x.dtype)

    with pytest.raises(Unrecognised) as raised:
        parity.check("relu", layer, examples=3, lanes=["exact"])
    typed = hint_in(str(raised.value), r"parity\.subjects\.forward_only\(layer\)")
    assert parity.check("relu", eval(typed, {"parity": parity, "layer": layer}), examples=6, lanes=["exact"]).ok


def test_weights_of_another_shape_are_wrapped_as_the_message_says() -> None:
    from parity.subjects.layer import adapter_for

    for own, torchs, what in (((3, 5), (5, 3), "weights_in_out"), ((2, 3, 4, 5), (5, 4, 2, 3), "weights_laid")):
        typed = hint_in(adapter_for(own, torchs), r"parity\.subjects\.\w+\(layer[^)]*\)")
        assert what in typed
        assert callable(eval(typed, {"parity": parity, "layer": lambda x, w, b: (x, None)}))
    assert parity.check("linear", parity.subjects.weights_in_out(GivenWeights), examples=6, lanes=["bound"]).ok


def test_a_misspelled_name_is_corrected() -> None:
    for call, wanted in (
        (lambda: parity.check("conv2", lambda x: x), "did you mean conv2d?"),
        (lambda: parity.check("relu", relu_with_gizmo, accept=["tyes"]), "did you mean ties?"),
    ):
        with pytest.raises((ArgumentError, KeyError)) as raised:
            call()
        assert wanted in str(raised.value)


def test_a_misspelled_row_in_pyproject_is_an_error() -> None:
    from parity.api.defaults import Defaults, using

    with (
        using(Defaults(rows={"conv2": Defaults(examples=3)})),
        pytest.raises(ArgumentError, match=r"\[tool\.parity\.rows\.conv2\].*did you mean conv2d"),
    ):
        parity.check("relu", examples=3, lanes=["exact"])
    with using(Defaults(rows={"my_gelu": Defaults(examples=3)})):  # an op of like=…
        assert parity.check("relu", examples=3, lanes=["exact"]).ok
