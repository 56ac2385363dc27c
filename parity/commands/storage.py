"""The storage of Hypothesis, which would create a folder `.hypothesis` in the current folder."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryDirectory

VARIABLE = "HYPOTHESIS_STORAGE_DIRECTORY"


@contextmanager
def nothing_left_behind() -> Iterator[None]:
    """Redirect Hypothesis' storage to a temporary folder.

    A folder in HYPOTHESIS_STORAGE_DIRECTORY is kept. If Hypothesis is already imported, as under pytest, its
    storage is not changed.
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
