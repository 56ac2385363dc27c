"""Work that forked processes would repeat, done when the process from which they fork imports this module.

In its first test Hypothesis registers a random generator, for which it collects all garbage: a quarter of a second
in a process with PyTorch.
"""

import gc

from hypothesis import given, settings
from hypothesis import strategies as st


@settings(database=None, max_examples=1)
@given(st.none())
def use_hypothesis(_: None) -> None:
    """Run Hypothesis once."""


use_hypothesis()
gc.freeze()  # the modules live until the end: later collections need not look at them
