"""One row for each thing that is compared."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  # the name the field uses
from hypothesis import strategies as st

from numpy_cnn import ops, optim
from parity.bounds import derived as bounds
from parity.bounds import normalization as bounds_normalization
from parity.bounds.derived import Bound
from parity.cases.case import LANES, Case, Lane
from parity.cases.torch_op import Op, oracle
from parity.rows import networks, optimizers, strategies


@dataclass(frozen=True)
class Row:
    """What is compared, with what, on which cases."""

    name: str
    op: Op  # ours, by the op law
    like: Callable[..., Any]  # torch's
    strategy: Callable[..., st.SearchStrategy[Case]]  # of the lane
    bound: Bound
    lanes: tuple[Lane, ...] = LANES

    @property
    def selects(self) -> bool:
        """Whether the op copies and selects, and computes nothing."""
        return self.bound in (bounds.copies, bounds.max_pool2d)


INEXACT: tuple[Lane, ...] = ("bound", "structure", "special")  # exp and log have no exact lane
NUMBERS: tuple[Lane, ...] = ("exact", "bound", "structure")  # special values prove nothing beyond the ops' rows
NEITHER: tuple[Lane, ...] = ("bound", "structure")

cross_entropy = bounds.cross_entropy_with(oracle(F.nll_loss))
of_numpy, of_torch = optimizers.by_hand, optimizers.of_torch

ROWS = {
    row.name: row
    for row in (
        Row("conv2d", ops.conv2d, F.conv2d, strategies.conv2d, bounds.conv2d),
        Row("max_pool2d", ops.max_pool2d, F.max_pool2d, strategies.max_pool2d, bounds.max_pool2d),
        Row("relu", ops.relu, F.relu, strategies.relu, bounds.copies),
        Row("linear", ops.linear, F.linear, strategies.linear, bounds.linear),
        Row(
            "batch_norm",
            ops.batch_norm,
            F.batch_norm,
            strategies.batch_norm,
            bounds_normalization.batch_norm,
            INEXACT,
        ),
        Row("flatten", ops.flatten, torch.flatten, strategies.flatten, bounds.copies),
        Row("softmax", ops.softmax, F.softmax, strategies.softmax, bounds.softmax, INEXACT),
        Row("log_softmax", ops.log_softmax, F.log_softmax, strategies.log_softmax, bounds.log_softmax, INEXACT),
        Row("nll_loss", ops.nll_loss, F.nll_loss, strategies.nll_loss, bounds.nll_loss),
        Row("cross_entropy", ops.cross_entropy, F.cross_entropy, strategies.cross_entropy, cross_entropy, INEXACT),
        Row("mse_loss", ops.mse_loss, F.mse_loss, strategies.mse_loss, bounds.mse_loss),
        Row("SGD", of_numpy(optim.SGD), of_torch(torch.optim.SGD), optimizers.sgd, optimizers.sgd_bound, NUMBERS),
        Row(
            "Adam",
            of_numpy(optim.Adam),
            of_torch(torch.optim.Adam),
            optimizers.adam,
            optimizers.adam_bound,
            NEITHER,
        ),
        Row(
            "AdamW",
            of_numpy(optim.AdamW),
            of_torch(torch.optim.AdamW),
            optimizers.adamw,
            optimizers.adamw_bound,
            NEITHER,
        ),
        Row("SimpleCNN", networks.by_hand, networks.of_torch, networks.networks, networks.bound, NUMBERS),
    )
}
