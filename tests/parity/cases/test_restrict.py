"""Restricting a case changes it to the nearest one that fits, so that hardly any case has to be drawn again."""

import random
from typing import Any

import pytest

from parity.cases.case import ArraySpec, Case
from parity.cases.primitives import draw_plainly
from parity.cases.restrict import fits, known_words, narrowed
from parity.rows.registry import ROWS


@pytest.mark.parametrize(
    "wanted",
    [
        {"bias": False},
        {"training": True},
        {"training": False},
        {"same": False},
        {"reduction": "sum"},
        {"ignored": False},
    ],
    ids=str,
)
def test_every_restricted_case_fits_and_torch_accepts_it(wanted: dict[str, Any]) -> None:
    (word,), changed = wanted, 0
    for name, row in ROWS.items():
        generator, strategy = random.Random(name), row.strategy(lane="structure")
        for _ in range(20):
            case, _ = draw_plainly(strategy, generator)
            if word in known_words(case):
                nearest = narrowed(case, wanted)
                assert fits(nearest, wanted), f"{case} became {nearest}"
                assert row.valid(nearest), f"{case} became {nearest}"
                changed += nearest != case
    assert changed > 10


@pytest.mark.parametrize("row", ["dropout", "dropout2d"])
def test_a_mask_has_the_shape_of_the_restricted_input(row: str) -> None:
    generator, wanted, cut = random.Random(0), {"numbers": 6, "training": True}, 0
    for _ in range(50):
        case, _ = draw_plainly(ROWS[row].strategy(lane="structure"), generator)
        x, mask = narrowed(case, wanted).arrays
        assert mask.shape == ((x.shape or ())[:2] if row == "dropout2d" else x.shape)
        cut += x.shape != case.arrays[0].shape
    assert cut


def test_targets_drawn_as_logarithms_become_probabilities_without_log_target() -> None:
    arrays = ArraySpec("input", (2, 3)), ArraySpec("target", (2, 3), "real")
    case = Case("kl_div", arrays, {"reduction": "mean", "log_target": True})
    assert narrowed(case, {"log_target": False}).arrays[1].kind == "weights"


@pytest.mark.parametrize(("training", "batch"), [(True, 2), (False, 1)])
def test_one_value_per_channel_becomes_two_only_in_training(training: bool, batch: int) -> None:
    channels = [ArraySpec(name, (3,)) for name in ("running_mean", "running_var", "weight", "bias")]
    options = {"training": training, "momentum": 0.1, "eps": 1e-5}
    case = Case("batch_norm", (ArraySpec("input", (1, 3)), *channels), options)
    nearest = narrowed(case, {"bias": False})
    assert nearest.arrays[0].shape == (batch, 3)
    five = Case("batch_norm", (ArraySpec("input", (5, 3)), *channels), options)
    assert narrowed(five, {"bias": False}).arrays[0].shape == (5, 3)
