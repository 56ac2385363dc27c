"""The HTML report: self-contained, well-formed, and readable on a narrow screen."""

import re
import shutil
import subprocess
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import parity
from numpy_cnn import ops
from parity.report import Report
from parity.report.rerun import RerunFlags

VOID = {"meta", "link", "br", "hr", "img", "input"}


@pytest.fixture(scope="module")
def report() -> Report:
    def wrong(x: Any, kernel_size: Any, **options: Any) -> Any:
        y, pullback = ops.max_pool2d(x, kernel_size, **options)
        return y, lambda dy: (pullback(dy)[0] * 2,)

    bad = parity.check("max_pool2d", wrong, examples=30)
    good = parity.check("relu", examples=30)
    return Report([*good.rows, *bad.rows], 0, 30)


class Strict(HTMLParser):
    """Asserts that every tag is closed in order, and that nothing is fetched."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        for name, value in attrs:
            if name in ("src", "href", "srcset", "action", "xlink:href", "data"):
                assert value is not None
                assert value.startswith(("#", "data:")), f"{tag} {name}={value}"
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_is_well_formed_and_fetches_nothing(report: Report) -> None:
    text = report.to_html()
    parser = Strict()
    parser.feed(text)
    assert parser.open == []
    assert {"html", "svg", "table", "pre", "details"} <= parser.seen
    assert "script" not in parser.seen
    assert not re.search(r"https?://|@import|url\(", text)
    assert text.startswith("<!DOCTYPE html>")


def test_the_page_reports_coverage_and_failures(report: Report) -> None:
    text = report.to_html()
    assert "1 of 2 rows agree" in text
    for part in ("kernel_size", "ceil_mode", "mistrusted", "grad_input, exact lane", "where the tensors differ"):
        assert part in text, part
    assert report.to_json()["rows"][1]["coverage"]["kernel_size"]


def test_text_is_escaped(report: Report) -> None:
    row = report.rows[1]
    text = "<script>alert(1)</script> & 'more'"
    failure = replace(row.failures[0], diagnosis=text, rerun=RerunFlags("<b>.py:f"))
    page = Report([replace(row, failures=[failure], notes=["<i>"])], 0, 30).to_html()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "<b>.py" not in page
    assert "<i>" not in page


def test_a_notebook_shows_a_fragment_of_the_page(report: Report) -> None:
    text = report._repr_html_()
    assert "<html" not in text
    assert "<body" not in text
    parser = Strict()
    parser.feed(text)
    assert parser.open == []


@pytest.mark.parametrize("width", [1280, 400])
def test_the_page_fits_a_narrow_browser_window(report: Report, width: int, tmp_path: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
    if browser is None:
        pytest.skip("no Chromium to open the page in")
    page = tmp_path / "report.html"
    # The page writes the width of its content into its title, which --dump-dom prints.
    measure = "<script>document.title = 'width ' + document.documentElement.scrollWidth</script></body>"
    page.write_text(report.to_html().replace("</body>", measure), encoding="utf-8")
    command = [
        browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync", "--hide-scrollbars",
        "--enable-logging=stderr", f"--user-data-dir={tmp_path / 'profile'}", f"--window-size={width},900",
        "--dump-dom", page.as_uri(),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stderr[-2000:]
    assert ":CONSOLE(" not in done.stderr, done.stderr[-2000:]
    found = re.search(r"<title>width (\d+)</title>", done.stdout)
    assert found is not None
    assert int(found[1]) <= max(width, 500)  # no sideways scrolling (Chromium's windows are 500 wide at least)
