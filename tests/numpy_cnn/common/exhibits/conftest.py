"""One browser, shared by all tests of HTML pages."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def browser() -> Iterator[object]:
    pytest.importorskip("selenium.webdriver", reason="the tests of the pages need selenium")
    from browser import started

    with started() as chromium:
        yield chromium
