"""A headless Chromium for the tests of HTML pages, which are skipped if it is not installed."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources

import pytest

pytest.importorskip("selenium.webdriver", reason="the tests of the pages need selenium")
from selenium import webdriver  # after the check that selenium is installed
from selenium.webdriver.support.ui import WebDriverWait


class Browser(webdriver.Chrome):
    """Chromium with helpers for testing a page."""

    def resize(self, width: int, height: int = 900) -> None:
        sizes = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": False}
        self.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", sizes)

    def prefer(self, scheme: str) -> None:
        """Emulate the system's preference for light or dark."""
        feature = {"name": "prefers-color-scheme", "value": scheme}
        self.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [feature]})

    def touch(self, points: list[tuple[float, float]]) -> None:
        """Drag one finger from point to point."""
        for kind, some in (("touchStart", points[:1]), ("touchMove", points[1:]), ("touchEnd", [])):
            for x, y in some or ([(0, 0)] if kind == "touchEnd" else []):
                at = [] if kind == "touchEnd" else [{"x": x, "y": y}]
                self.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": at})

    def open(self, url: str) -> None:
        """Load the page and wait until it shows its first numbers."""
        self.get(url)
        self.until("return document.body.dataset.ready === 'yes'")
        self.settle()

    def settle(self) -> None:
        self.until("return !cnn.busy()")

    def until(self, script: str) -> None:
        WebDriverWait(self, 60, poll_frequency=0.02).until(lambda page: page.execute_script(script))

    def text(self, name: str) -> str:
        return str(self.find_element("id", name).text)

    def violations(self) -> list[str]:
        """Return the accessibility violations that axe-core finds."""
        axe = resources.files(pytest.importorskip("axe_core_python")).joinpath("axe.min.js")
        self.execute_script(axe.read_text(encoding="utf-8"))
        found = self.execute_async_script("axe.run(document).then(result => arguments[0](result.violations))")
        return [f"{one['id']}: {json.dumps([node['html'][:120] for node in one['nodes']])}" for one in found]


@contextmanager
def started() -> Iterator[Browser]:
    """Run Chromium within the context; skip the test if it is not installed."""
    program = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("the tests of the pages need chromium and chromedriver on the PATH")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = Browser(options=options, service=webdriver.ChromeService(driver))
    try:
        yield chrome
    finally:
        chrome.quit()
