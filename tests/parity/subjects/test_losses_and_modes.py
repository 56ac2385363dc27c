"""Losses without torch's options, backwards of training, and guards: found by trying, and not failures."""

from typing import Any

import numpy as np
import pytest
from form_table import FORMS, load

import parity
from parity.subjects.pair import NO_UPSTREAM

pytestmark = pytest.mark.usefixtures("named")


def layer_of(file: str, name: str) -> Any:
    """A correct layer of the table."""
    return load(next(form for form in FORMS if (form.file, form.names) == (file, name)))


@pytest.mark.parametrize(
    ("row", "name", "reduction"),
    [
        ("cross_entropy", "softmax_loss", "sum"),
        ("cross_entropy", "SoftmaxCrossEntropy", "none"),
        ("mse_loss", "Loss_MeanSquaredError", "mean"),
    ],
)
def test_the_reduction_is_found_by_trying(row: str, name: str, reduction: str) -> None:
    report = parity.check(row, layer_of("reduced_losses", name), examples=6)
    assert report.ok, f"\n{report}"
    assert any(f"reduction={reduction} " in note for note in report.rows[0].notes)


def squared_sum(y: Any, t: Any) -> Any:
    return ((y - t) ** 2).sum(), 2 * (y - t)


def mean_with_the_gradient_of_a_sum(y: Any, t: Any) -> Any:
    return np.mean((y - t) ** 2), 2 * (y - t)


def sum_with_the_gradient_of_a_mean(y: Any, t: Any) -> Any:
    return ((y - t) ** 2).sum(), 2 * (y - t) / y.size


@pytest.mark.parametrize(
    ("loss", "wrong"),
    [
        (squared_sum, set()),
        (mean_with_the_gradient_of_a_sum, {"grad_input"}),
        (sum_with_the_gradient_of_a_mean, {"output"}),
    ],
)
def test_a_reduction_in_one_place_only_is_wrong(loss: Any, wrong: set[str]) -> None:
    report = parity.check("mse_loss", loss, examples=12, lanes=["bound"], supports={"rank": 2})
    assert {failure.quantity for failure in report.failures} == wrong
    assert all(failure.verdict == "wrong" for failure in report.failures)


def halved(y: Any, t: Any) -> Any:
    return np.mean((y - t) ** 2) / 2, (y - t) / y.size


def halved_with_a_wrong_sign(y: Any, t: Any) -> Any:
    return np.mean((y - t) ** 2) / 2, (t - y) / y.size


def test_a_factor_in_the_loss_and_its_gradient_is_a_convention_also_beside_a_mistake() -> None:
    how: Any = {"examples": 12, "lanes": ["bound"], "supports": {"rank": 2}}
    right, wrong = (
        parity.check("mse_loss", halved, **how),
        parity.check("mse_loss", halved_with_a_wrong_sign, **how),
    )
    assert {(f.quantity, f.verdict, f.convention) for f in right.failures} == {
        ("output", "convention", "half"),
        ("grad_input", "convention", "half"),
    }
    assert [(f.quantity, f.verdict) for f in wrong.failures] == [("grad_input", "wrong"), ("output", "convention")]


def test_a_guard_of_the_logarithm_is_a_note_unless_strict() -> None:
    layer = layer_of("reduced_losses", "Activation_Softmax_Loss")
    report = parity.check("cross_entropy", layer, examples=25, lanes=["bound"])
    assert report.ok, f"\n{report}"
    assert {failure.explanation for failure in report.rows[0].accepted} == {"log-clipped-both"}
    assert not parity.check("cross_entropy", layer, examples=25, lanes=["bound"], strict=True).ok


def test_a_backward_of_training_is_compared_in_training_and_its_outputs_in_both_modes() -> None:
    layer = layer_of("evaluation_norms", "BatchNorm1d")
    report = parity.check("batch_norm", layer, examples=12, lanes=["bound"])
    assert report.ok, f"\n{report}"
    assert any("belongs to training" in note for note in report.rows[0].notes)

    class WrongInEvaluation(layer):  # type: ignore[misc,valid-type]  # a class loaded from a file
        def forward(self, Z: Any, eval: bool = False) -> Any:
            y = super().forward(Z, eval)
            return y + 1 if eval else y

    found = parity.check("batch_norm", WrongInEvaluation, examples=25, lanes=["bound"])
    assert {(f.quantity, f.case.options["training"]) for f in found.failures} == {("output", False)}


def test_a_backward_with_modes_is_compared_in_both() -> None:
    layer = layer_of("evaluation_norms", "BatchNorm1d")

    class OfModes(layer):  # type: ignore[misc,valid-type]  # a class loaded from a file
        def forward(self, Z: Any, eval: bool = False) -> Any:
            self.eval = eval
            return super().forward(Z, eval)

        def backward(self, dLdBZ: Any) -> Any:
            return super().backward(dLdBZ) if not self.eval else 0 * dLdBZ

    found = parity.check("batch_norm", OfModes, examples=25, lanes=["bound"])
    assert ("grad_input", False) in {(f.quantity, f.case.options["training"]) for f in found.failures}


def relu_that_needs_finite_numbers(x: Any) -> Any:
    if not np.isfinite(x).all():
        raise ValueError("not finite")
    return np.maximum(x, 0), lambda dy: (np.where(x > 0, dy, 0),)


def test_an_exception_for_nan_alone_is_special() -> None:
    report = parity.check("relu", relu_that_needs_finite_numbers, examples=25, lanes=["exact", "special"])
    assert report.ok
    assert "special" in {note.verdict for note in report.notes}


def elu(x: Any, alpha: float = 1.0) -> Any:
    y = np.where(x >= 0, x, alpha * np.expm1(np.minimum(x, 0))).astype(x.dtype)
    return y, lambda dy: (dy * np.where(x >= 0, 1, y + x.dtype.type(alpha)),)


def test_the_derivative_at_a_kink_is_a_convention_also_without_an_exact_lane() -> None:
    report = parity.check("elu", elu, examples=40, lanes=["structure"])
    assert {(f.quantity, f.verdict, f.aspect) for f in report.failures} == {("grad_input", "convention", "ties")}
    assert parity.check("elu", elu, examples=40, lanes=["structure"], accept=["ties"]).ok


class MeanSquaredError:
    def forward(self, y: Any, t: Any) -> Any:
        self.y, self.t = y, t
        return ((y - t) ** 2).mean()

    def backward(self, dout: Any = 1) -> Any:
        return 2 * (self.y - self.t) / self.y.size


def test_a_backward_that_ignores_its_optional_upstream_gradient_is_noted() -> None:
    report = parity.check("mse_loss", MeanSquaredError, examples=6)
    assert report.ok, f"\n{report}"
    assert NO_UPSTREAM in report.rows[0].notes
