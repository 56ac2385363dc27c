"""Let a user's own @given test call a check, which uses Hypothesis too."""

from collections.abc import Iterator
from contextlib import contextmanager

import hypothesis
from hypothesis._settings import local_settings  # as Hypothesis itself does around each test


@contextmanager
def nesting_allowed() -> Iterator[None]:
    """Decorate with `hypothesis.given` in here: the default settings would reject a test within a test."""
    with local_settings(hypothesis.settings(suppress_health_check=list(hypothesis.HealthCheck))):
        yield
