"""A catalogue of planted bugs that tests the harness itself.

`PLANTED` holds implementations with one mistake each, `CORRECT` correct ones that look unusual. Every bug must be
found, and nothing correct may be flagged. `python -m parity self-test` runs both.
"""

from importlib import import_module

from parity.exam.bug import CORRECT, PLANTED, Correct, Planted

__all__ = ["CORRECT", "PLANTED", "Correct", "Planted"]

# Each module registers its entries when it is imported.
for _family in (
    *("activation", "convolution", "linear", "loss", "normalization", "optimizers", "pooling", "softmax"),
    *(
        "network",
        "correct",
        "correct_windows",
        "general",
        "options",
        "narrow",
        "resizing",
        "scaled_optimizers",
        "unfolding",
    ),
):
    import_module(f"{__name__}.{_family}")
