"""Where Hypothesis keeps the notes that it takes: it puts a folder `.hypothesis` wherever a command is typed."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

VARIABLE = "HYPOTHESIS_STORAGE_DIRECTORY"


@contextmanager
def nothing_left_behind() -> Iterator[None]:
    """Have Hypothesis take its notes in a folder that goes away with the command.

    Whoever names a folder in HYPOTHESIS_STORAGE_DIRECTORY keeps that one; and where Hypothesis is loaded already,
    as under pytest, it has a folder, which is not ours to change.
    """
    if VARIABLE in os.environ or "hypothesis" in sys.modules:
        yield
        return
    with TemporaryDirectory(prefix="parity-", ignore_cleanup_errors=True) as folder:
        os.environ[VARIABLE] = folder
        try:
            yield
        finally:
            del os.environ[VARIABLE]
