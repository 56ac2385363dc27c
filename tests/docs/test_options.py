"""The page of options is up to date, and each listed difference from torch exists."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from programs import ROOT

from numpy_cnn import ops
from parity.rows.differences import DIFFERENCES, Difference


def test_the_page_is_built_from_the_code(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.syspath_prepend(ROOT / "docs")
    import options

    assert options.main(["--check"]) == 0, capsys.readouterr().err


def ours(call: str) -> Any:
    names = {name: getattr(ops, name) for name in ops.__all__}
    return eval(
        call, names | {"ones": lambda *shape: np.ones(shape, np.float32), "labels": lambda *n: np.array(n)}
    )


def theirs(call: str) -> Any:
    names = {name: getattr(F, name) for name in ops.__all__ if hasattr(F, name)}
    call = call.replace(".astype('float64')", ".double()")
    return eval(call, names | {"ones": lambda *shape: torch.ones(shape), "labels": lambda *n: torch.tensor(n)})


@pytest.mark.parametrize("difference", DIFFERENCES, ids=lambda difference: difference.call)
def test_each_difference(difference: Difference) -> None:
    accepts, rejects = (theirs, ours) if difference.accepted_by == "torch" else (ours, theirs)
    accepts(difference.call)
    with pytest.raises((ValueError, RuntimeError, IndexError, TypeError)):
        rejects(difference.call)
