"""A catalogue of planted bugs: the exam that the harness sits, written without a look at how it answers.

`PLANTED` are implementations with one mistake each, `CORRECT` such that are right and done another way. Every bug
has to be found, none of the right ones may be. `python -m parity self-test` runs both.
"""

from importlib import import_module

from parity.exam.bug import CORRECT, PLANTED, Correct, Planted

__all__ = ["CORRECT", "PLANTED", "Correct", "Planted"]

# Each module plants its own.
for _family in (
    *("activation", "convolution", "linear", "loss", "normalization", "optimizers", "pooling", "softmax"),
    *("network", "correct", "correct_windows", "general", "options"),
):
    import_module(f"{__name__}.{_family}")
