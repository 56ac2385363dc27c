"""Import PyTorch, Hypothesis and the rows in three quarters of the time that it usually takes."""

import gc
import sys
from importlib import import_module

EVERY_CHECK = ("parity.rows.registry", "parity.api.check")


def import_rows(*further: str) -> None:
    """Import what every check needs, and further modules, without searching it for garbage.

    Modules live until the end, and PyTorch has half a million objects: the searches while it is imported take 0.3
    seconds, and so would each complete collection later.
    """
    if "parity.rows.registry" in sys.modules:  # by a program that calls a command; its garbage is its own
        return
    gc.disable()
    try:
        for name in (*EVERY_CHECK, *further):
            import_module(name)
        _use_hypothesis()
        gc.freeze()
    finally:
        gc.enable()


def _use_hypothesis() -> None:
    """Run Hypothesis once: it registers a random generator and looks for references to it in all objects."""
    from hypothesis import given, settings
    from hypothesis import strategies as st

    settings(database=None, max_examples=1)(given(st.none())(lambda _: None))()
