"""All rows, collected from the families."""

from parity.rows import (
    activation,
    convolution,
    generated,
    linear,
    loss,
    networks,
    normalization,
    optimizers,
    pointwise_loss,
    pooling,
    resizing,
    softmax,
    unfolding,
)
from parity.rows.row import Row

FAMILIES = (
    convolution,
    pooling,
    unfolding,
    resizing,
    activation,
    linear,
    normalization,
    softmax,
    loss,
    pointwise_loss,
    optimizers,
    networks,
    generated,
)

ROWS: dict[str, Row] = {row.name: row for family in FAMILIES for row in family.ROWS}
