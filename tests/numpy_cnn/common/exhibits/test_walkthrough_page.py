"""The picture and the page of a walkthrough: written whole, safe, of one piece, and alive in a browser."""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from programs import PROGRAMS, ROOT, succeed

from numpy_cnn.common.exhibits.walkthrough import lesson
from numpy_cnn.common.exhibits.walkthrough.drawing import draw
from numpy_cnn.common.exhibits.walkthrough.learning import learn
from numpy_cnn.common.exhibits.walkthrough.page import page
from numpy_cnn.common.exhibits.walkthrough.panels import number, precise, total

PHOTO = ROOT / "docs" / "images" / "walkthrough_lighthouse.jpg"
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
WALKED = learn(PROGRAMS["numpy_cnn"].tracer(), lesson.fixed(PHOTO, "vertical-edge", 0, 2, 42), 2, 0.1)


def numbers_of(text: str) -> dict:
    return json.loads(re.search(r'<script type="application/json" id="numbers">(.*)</script>', text)[1])


def test_the_command_writes_a_picture_and_a_page(tmp_path: Path, program: str) -> None:
    files = tmp_path / "walk.png", tmp_path / "walk.html"
    out = succeed(program, "walkthrough", PHOTO, "--out", files[0], "--html", files[1], "--epochs", 1).out
    assert out.endswith(f"\n{files[0]}\n{files[1]}\n")
    with Image.open(files[0]) as picture:
        assert picture.format == "PNG"
        assert picture.width > 1500
        assert picture.height > picture.width
        assert np.asarray(picture.convert("L")).std() > 10
    assert numbers_of(files[1].read_text(encoding="utf-8"))["backend"] == program


def test_a_name_is_only_a_name_to_the_picture(tmp_path: Path) -> None:
    draw(*WALKED, "numpy_cnn", "$x_{1}$ \\frac " + "日本" * 60 + ".png", tmp_path / "walk.png")
    assert (tmp_path / "walk.png").stat().st_size > 10_000


def test_a_picture_without_any_edge_is_drawn_as_well(tmp_path: Path) -> None:
    Image.new("L", (28, 28), 0).save(tmp_path / "black.png")
    start = lesson.fixed(tmp_path / "black.png", "sobel", 1, 12, 0)
    walked = learn(PROGRAMS["numpy_cnn"].tracer(), start, 0, 0.1)
    draw(*walked, "numpy_cnn", "black.png", tmp_path / "walk.png")
    assert "@NUMBERS@" not in page(*walked, "numpy_cnn", "black.png")


class Links(HTMLParser):
    """Everything that a page would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [
            f"{tag} {name}={value}" for name, value in attrs if name in ("src", "href", "action", "data")
        ]


def test_the_page_fetches_nothing() -> None:
    text = page(*WALKED, "numpy_cnn", "tree.jpg")
    links = Links()
    links.feed(text)
    assert links.found == []
    assert not re.search(r"https?:|@import|url\(|fetch\(|XMLHttpRequest|WebSocket|import\(", text)
    assert "default-src 'none'" in text


def test_a_hostile_name_stays_a_name() -> None:
    name = "</script><script>alert(1)</script>&\"'@STYLE@\u2028.png"
    text = page(*WALKED, "numpy_cnn", name)
    assert text.count("<script") == text.count("</script>") == 2
    assert "alert(1)</" not in text
    assert numbers_of(text)["name"] == name


def shortened(array: np.ndarray) -> np.ndarray:
    """The numbers as the page carries them: to 9 significant digits."""
    return np.vectorize(lambda number: float(f"{number:.9g}"))(array)


def test_the_page_carries_the_numbers_of_the_trace() -> None:
    start, traces = WALKED
    told = numbers_of(page(start, traces, "numpy_cnn", "tree.jpg"))
    (only,) = told["filters"]
    for name, array in {
        "conv": traces[0].values["conv1"],
        "pool": traces[0].values["pool1"],
        "routes": traces[0].routes,
        "dconv": traces[0].gradients["conv1"],
        "dkernel": traces[0].parameters["conv1.weight"],
    }.items():
        np.testing.assert_array_equal(only[name], shortened(array[0, 0]), err_msg=name)
    np.testing.assert_array_equal(told["dinputs"], shortened(traces[0].gradients["input"][0, 0]))
    assert [epoch[0] for epoch in told["epochs"]] == [trace.loss for trace in traces]
    assert len(told["epochs"]) == 3


@pytest.mark.skipif(CHROMIUM is None, reason="no chromium, chromium-browser or google-chrome on the PATH")
@pytest.mark.parametrize("move", ["", "place", "click"])
def test_the_page_adds_up_in_a_browser(tmp_path: Path, move: str) -> None:
    """What it shows after the slider, or a click on the feature map, moved the kernel."""
    start, traces = WALKED
    row, column = (20, 11) if move else numbers_of(page(*WALKED, "numpy_cnn", "x"))["start"][1:]
    act = {
        "": "",
        "place": f"at('place').value = {row * 26 + column}; at('place').dispatchEvent(new Event('input'));",
        "click": "const box = at('conv').getBoundingClientRect(); at('conv').dispatchEvent(new PointerEvent("
        f"'pointerdown', {{clientX: box.left + box.width * {(column + 0.5) / 26}, "
        f"clientY: box.top + box.height * {(row + 0.5) / 26}}}));",
    }[move]
    text = page(start, traces, "numpy_cnn", "<b>tree</b>.jpg").replace("</body>", f"<script>{act}</script></body>")
    (tmp_path / "page.html").write_text(text, encoding="utf-8")
    command = [
        CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
        "--disable-background-networking", "--disable-component-update", "--disable-sync",
        f"--user-data-dir={tmp_path / 'profile'}", "--dump-dom", f"file://{tmp_path / 'page.html'}",
    ]  # fmt: skip
    shown = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
    assert "&lt;b&gt;tree&lt;/b&gt;.jpg" in shown

    def words(name: str) -> str:
        inside = re.search(rf'id="{name}"[^>]*>(.*?)</(?:div|p|output|figcaption)>', shown, re.DOTALL)[1]
        return html.unescape(re.sub(r"<[^>]+>", " ", inside)).strip()

    assert words("where") == f"row {row}, column {column}"
    assert f"= {number(traces[0].values['conv1'][0, 0, row, column], 3)}" in words("sum")
    patch = start.inputs[0, 0, row : row + 3, column : column + 3]
    assert words("patch").split() == [number(value) for value in patch.ravel()]
    if move:
        assert "is not above zero and becomes 0" in words("pooling")
        assert "Nothing came back to this place" in words("sharing")
    else:
        assert "The largest of its window" in words("pooling")


def test_numbers_are_written_as_people_write_them() -> None:
    assert [number(value) for value in (0.0, 1.0, -1.0, 0.256, -0.00012)] == ["0", "1", "−1", "0.26", "−1.2·10⁻⁴"]
    assert [precise(value) for value in (0.99965737, 12.0, 3.4e-7)] == ["0.9997", "12", "3.4·10⁻⁷"]
    assert total([0.5, 0.0, -0.25, 1.0]) == "0.50 − 0.25 + 1"
    assert total([0.0]) == "0"
