"""The demo's page in a headless browser: drawn on with the mouse and with a finger, and read."""

from __future__ import annotations

import base64
import io
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from demo_server import Served, serving
from PIL import Image
from programs import PROGRAMS

import numpy_cnn.backend
import numpy_cnn.views.inspection
import torch_cnn.views.inspection
from numpy_cnn.common.exhibits.demo.drawing import GRID, as_drawn, centred
from numpy_cnn.common.exhibits.demo.inspector import maps_of
from numpy_cnn.common.training.checkpoint import Checkpoint, load_checkpoint

webdriver = pytest.importorskip("selenium.webdriver", reason="the tests of the page need selenium")
from selenium.webdriver.common.action_chains import ActionChains  # noqa: E402  # only where selenium is
from selenium.webdriver.support.ui import WebDriverWait  # noqa: E402

INSPECTORS = {"numpy_cnn": numpy_cnn.views.inspection.Inspector, "torch_cnn": torch_cnn.views.inspection.Inspector}
THREE = [(.33, .25), (.5, .15), (.65, .25), (.62, .4), (.48, .48), (.65, .55), (.7, .7), (.55, .85)]  # fmt: skip
ONE = [(.45, .2), (.5, .2), (.5, .8)]  # fmt: skip


@pytest.fixture(scope="module")
def browser() -> Iterator[webdriver.Chrome]:
    program = shutil.which("chromium") or shutil.which("google-chrome") or shutil.which("chromium-browser")
    driver = shutil.which("chromedriver")
    if program is None or driver is None:
        pytest.skip("the tests of the page need chromium and chromedriver on the PATH")
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for flag in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    chrome = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    yield chrome
    chrome.quit()


@pytest.fixture(scope="module")
def checkpoint_path(trained: dict[str, Path]) -> Path:
    return trained["numpy_cnn"] / "best.safetensors"


@pytest.fixture(scope="module")
def served(browser: object, checkpoint_path: Path) -> Iterator[Served]:
    with serving(checkpoint_path, checkpoint_path.parent, "torch_cnn") as running:
        yield running


@pytest.fixture(params=[1280, 400])
def page(request: pytest.FixtureRequest, browser: webdriver.Chrome, served: Served) -> Iterator[webdriver.Chrome]:
    """The page anew, at a desk's and at a telephone's width; nothing may be complained of in its console."""
    sizes = {"width": request.param, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", sizes)
    browser.get(served.url)
    yield browser
    assert browser.get_log("browser") == []


@pytest.fixture
def checkpoint(checkpoint_path: Path) -> Checkpoint:
    return load_checkpoint(checkpoint_path)


def draw(page: webdriver.Chrome, points: list[tuple[float, float]]) -> None:
    """Press the mouse at the first point, move it over the others, let it go; then wait for the answer."""
    paper = page.find_element("id", "paper")
    size = paper.rect
    places = [(round((x - 0.5) * size["width"]), round((y - 0.5) * size["height"])) for x, y in points]
    actions = ActionChains(page, duration=10)
    actions.move_to_element_with_offset(paper, *places[0]).click_and_hold()
    for place in places[1:]:
        actions.move_to_element_with_offset(paper, *place)
    actions.release().perform()
    settle(page)


def settle(page: webdriver.Chrome) -> None:
    """Wait until the page has asked, and been answered, about what it shows now."""
    page.execute_script("ask()")
    WebDriverWait(page, 10, poll_frequency=0.02).until(lambda p: not p.execute_script("return asking || again"))


def ink(page: webdriver.Chrome) -> np.ndarray:
    return np.frombuffer(base64.b64decode(page.execute_script("return ink()")), np.uint8).reshape(GRID, GRID)


def pixels(page: webdriver.Chrome, canvas: str) -> np.ndarray:
    """Red, green and blue of a canvas, (h, w, 3)."""
    url = page.execute_script("return document.getElementById(arguments[0]).toDataURL()", canvas)
    with Image.open(io.BytesIO(base64.b64decode(url.partition(",")[2]))) as image:
        return np.asarray(image.convert("RGB"), dtype=np.int64)


def text(page: webdriver.Chrome, name: str) -> str:
    return page.find_element("id", name).text


def test_what_is_drawn_with_the_mouse_is_shown_in_the_backends_own_numbers(
    page: webdriver.Chrome, checkpoint: Checkpoint
) -> None:
    assert page.execute_script("return document.body.dataset.state") == "empty"
    draw(page, THREE)
    drawn = ink(page)
    assert 0.02 < (drawn > 0).mean() < 0.3
    image = centred(drawn, checkpoint)
    for package in PROGRAMS:
        seen = INSPECTORS[package](checkpoint.architecture, checkpoint.parameters).look(image)
        for digit, probability in enumerate(seen["probabilities"]):
            shown = text(page, f"p-{package}-{digit}")
            assert shown == f"{100 * float(probability):.2f} %"
        # Red where more ink raises the score, blue where it lowers it, white where it does neither.
        colours, gradient = pixels(page, f"saliency-{package}"), seen["saliency"][0]
        assert colours.shape == (*gradient.shape, 3)
        assert np.array_equal(
            np.sign(colours[..., 0] - colours[..., 2])[faint(gradient)], np.sign(gradient)[faint(gradient)]
        )
        for stage in maps_of(checkpoint.architecture):
            for number, plane in enumerate(seen[stage]):
                colours = pixels(page, f"{stage}-{package}-{number}")
                assert colours.shape == (*plane.shape, 3)
                assert ((colours == 255).all(axis=-1) >= (plane == 0)).all()
        best = int(seen["digit"][0])
        assert text(page, "explained") == f"the score of {best}"
    assert text(page, "answer").split()[0] == str(best)
    assert "NumPy and PyTorch differ by at most" in text(page, "agreement")


def faint(gradient: np.ndarray) -> np.ndarray:
    """Where a gradient is strong enough for its colour to differ from white by a level of 255."""
    return np.abs(gradient) > np.abs(gradient).max() / 100


def test_a_finger_draws_as_well(page: webdriver.Chrome) -> None:
    box = page.execute_script("const b = paper.getBoundingClientRect(); return [b.left, b.top, b.width, b.height]")
    at = [{"x": box[0] + x * box[2], "y": box[1] + y * box[3]} for x, y in ONE]
    page.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": at[:1]})
    for point in at[1:]:
        page.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [point]})
    page.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
    settle(page)
    drawn = ink(page)
    assert drawn[GRID // 2, GRID // 2] == 255, "the stroke goes through the middle"
    assert page.execute_script("return document.body.dataset.state") == "shown"


def test_the_drawing_moves_is_explained_and_is_cleared(page: webdriver.Chrome, checkpoint: Checkpoint) -> None:
    draw(page, ONE)
    before = ink(page)
    page.find_element("id", "centre").click()
    page.find_element("css selector", "[data-move='1,0']").click()
    settle(page)
    step = GRID // checkpoint.architecture.image_size[1]
    assert np.array_equal(ink(page)[:, step:], before[:, :-step]), "moved right by a pixel of the input"

    page.find_element("css selector", "#chances tbody tr:nth-child(6) button").click()
    settle(page)
    image = as_drawn(ink(page), checkpoint)
    seen = INSPECTORS["numpy_cnn"](checkpoint.architecture, checkpoint.parameters).look(image, 5)
    assert text(page, "explained") == "the score of 5"
    assert text(page, "p-numpy_cnn-5") == f"{100 * float(seen['probabilities'][5]):.2f} %"
    colours, gradient = pixels(page, "saliency-numpy_cnn"), seen["saliency"][0]
    signs = np.sign(colours[..., 0] - colours[..., 2])
    assert np.array_equal(signs[faint(gradient)], np.sign(gradient)[faint(gradient)])

    page.find_element("id", "clear").click()
    settle(page)
    assert not ink(page).any()
    assert page.execute_script("return document.body.dataset.state") == "empty"
    assert text(page, "p-numpy_cnn-5") == ""
    assert (pixels(page, "saliency-numpy_cnn") == 255).all()


def test_everything_is_in_view_and_nothing_comes_from_outside(page: webdriver.Chrome, served: Served) -> None:
    page.find_element("id", "example").click()
    settle(page)
    assert page.execute_script("return document.body.dataset.state") == "shown"
    wide, window = page.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
    assert wide <= window, "the page is wider than the window"
    fetched = page.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert {*fetched} == {f"{served.url}look"}
    outside = "return fetch('http://localhost:9/').then(() => 'went', error => String(error))"
    assert "TypeError" in page.execute_script(outside), "the policy forbids it"
    page.get_log("browser")  # which says so
