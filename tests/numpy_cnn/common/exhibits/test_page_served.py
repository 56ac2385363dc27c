"""The page of `demo` in a browser: mouse, keyboard and touch, wide and narrow, light and dark."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from demo_server import Served, serving

from numpy_cnn.common.exhibits.demo.answers import Answers
from numpy_cnn.common.exhibits.demo.drawing import GRID, as_drawn, centred
from numpy_cnn.common.exhibits.demo.question import Question
from numpy_cnn.common.training.checkpoint import Checkpoint, load_checkpoint
from numpy_cnn.views.trace import trace

pytest.importorskip("selenium.webdriver", reason="the tests of the page need selenium")
from browser import Browser  # after the check that selenium is installed
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.keys import Keys

THREE = [(.33, .25), (.5, .15), (.65, .25), (.62, .4), (.48, .48), (.65, .55), (.7, .7), (.55, .85)]  # fmt: skip
ONE = [(.45, .2), (.5, .2), (.5, .8)]  # fmt: skip


@pytest.fixture(scope="module")
def checkpoint_path(trained: dict[str, Path]) -> Path:
    return trained["numpy_cnn"] / "best.safetensors"


@pytest.fixture(scope="module")
def checkpoint(checkpoint_path: Path) -> Checkpoint:
    return load_checkpoint(checkpoint_path)


@pytest.fixture(scope="module")
def served(browser: Browser, checkpoint_path: Path) -> Iterator[Served]:
    with serving(checkpoint_path, checkpoint_path.parent) as running:
        browser.resize(1280)
        browser.open(running.url)
        yield running


@pytest.fixture
def page(browser: Browser, served: Served) -> Iterator[Browser]:
    """The page in a wide window with its first example; afterwards the browser's console must be empty."""
    browser.resize(1280)
    browser.execute_script("window.scrollTo(0, 0)")
    yield browser
    assert browser.get_log("browser") == []


def draw(page: Browser, points: list[tuple[float, float]]) -> np.ndarray:
    """Clear the canvas, draw with the mouse, and wait for the response; return the ink."""
    page.find_element("id", "clear").click()
    paper = page.find_element("id", "paper")
    size = paper.rect
    places = [(round((x - 0.5) * size["width"]), round((y - 0.5) * size["height"])) for x, y in points]
    actions = ActionChains(page, duration=10)
    actions.move_to_element_with_offset(paper, *places[0]).click_and_hold()
    for place in places[1:]:
        actions.move_to_element_with_offset(paper, *place)
    actions.release().perform()
    return ink(page)


def ink(page: Browser) -> np.ndarray:
    page.settle()
    return np.frombuffer(base64.b64decode(page.execute_script("return cnn.ink()")), np.uint8).reshape(GRID, GRID)


def values(page: Browser, name: str) -> np.ndarray:
    record = f"cnn.network.records[cnn.network.step]['{name}']"
    return np.array(page.execute_script(f"return [...{record}.data]"), dtype=np.float32)


def test_the_mouse_draws_and_the_numbers_are_the_backends_own(page: Browser, checkpoint: Checkpoint) -> None:
    drawn = draw(page, THREE)
    assert 0.02 < (drawn > 0).mean() < 0.3
    image = centred(drawn, checkpoint)
    expected = Answers(trace, checkpoint.architecture, checkpoint.parameters).answer(Question(image))
    for name in ("value.conv1", "value.fc2", "gradient.input", "probabilities"):
        assert np.array_equal(values(page, name), expected[name].ravel().astype(np.float32)), name
    assert page.text("answer") == str(expected["probabilities"].argmax())
    assert "NumPy and PyTorch differ by" in page.text("agreement")
    assert page.execute_script("return cnn.check(20).error") < 1e-4


def test_the_keyboard_moves_the_drawing_and_walks_through_the_network(
    page: Browser, checkpoint: Checkpoint
) -> None:
    before = draw(page, ONE)
    page.find_element("id", "centre").click()
    page.find_element("id", "paper").send_keys(Keys.ARROW_RIGHT)
    step = GRID // checkpoint.architecture.image_size[1]
    after = ink(page)
    assert np.array_equal(after[:, step:], before[:, :-step]), "moved right by a pixel of the input"
    assert np.array_equal(values(page, "value.input").reshape(8, 8), as_drawn(after, checkpoint)[0, 0])
    page.find_element("id", "centre").click()

    page.execute_script("document.getElementById('tour').value = 0")
    page.execute_script("document.getElementById('tour').dispatchEvent(new Event('input'))")
    seen = [page.text("layer")]
    while page.find_element("id", "next").is_enabled():
        page.find_element("id", "next").send_keys(Keys.ENTER)
        seen.append(page.text("layer"))
    names = [name for name, _ in checkpoint.architecture.stages()]
    there = [text.partition(":")[0] for text in seen]
    assert there == [*names, "loss", *reversed(names)], "forward, and back"
    assert page.find_element("id", "backward").get_attribute("aria-pressed") == "true"

    page.execute_script("document.querySelector('.tile.conv').focus()")
    page.switch_to.active_element.send_keys(Keys.ENTER)
    page.find_element("id", "forward").send_keys(Keys.ENTER)
    area = page.find_element("id", "map")
    area.send_keys(Keys.HOME, Keys.ARROW_DOWN, Keys.ARROW_RIGHT, Keys.ARROW_RIGHT, Keys.PAGE_DOWN)
    c = page.execute_script("return cnn.state.c")
    expected = values(page, "value.conv1").reshape(8, 6, 6)[c, 1, 2]
    assert page.text("place").startswith(f"map {c}, row 1, column 2: ")
    assert float(page.text("place").split()[-1].replace("−", "-")) == pytest.approx(
        float(expected), rel=5e-8
    )  # half a unit of the last of the eight digits printed
    page.find_element("id", "paper").send_keys(Keys.ESCAPE)
    page.settle()
    assert page.execute_script("return document.body.dataset.state") == "empty"
    page.find_element("id", "paper").send_keys(Keys.ENTER)
    page.settle()
    assert page.execute_script("return document.body.dataset.state") == "shown"


def test_training_learns_rewinds_and_repeats_itself(page: Browser) -> None:
    draw(page, THREE)
    page.find_element("css selector", "#label option[value='5']").click()
    page.find_element("css selector", "#start option[value='random']").click()
    page.settle()
    page.find_element("id", "train-5").click()
    page.until("return cnn.network.step === 5 && !cnn.busy()")
    losses = page.execute_script("return cnn.network.records.map((_, step) => cnn.lossNow(step))")
    assert losses[5] < losses[0]
    assert page.execute_script("return cnn.check(20).error") < 1e-4, "with the parameters that training made"
    page.find_element("id", "rewind").click()
    assert page.text("progress").startswith("After 0 steps")
    page.find_element("id", "train-5").click()
    page.until("return cnn.network.step === 5 && !cnn.busy()")
    again = page.execute_script("return cnn.network.records.map((_, step) => cnn.lossNow(step))")
    assert again == losses
    for choice in ("#start option[value='trained']", "#label option[value='']"):
        page.find_element("css selector", choice).click()
    page.settle()


def test_sliders_show_the_size_of_a_convolution(page: Browser) -> None:
    page.find_element("id", "play-stride").send_keys(Keys.ARROW_RIGHT)
    page.find_element("id", "play-padding").send_keys(Keys.ARROW_RIGHT)
    assert page.text("play-formula").endswith("⌊(8 + 2·1 − 3) / 2⌋ + 1 = 4")
    canvas = page.find_element("id", "play-output")
    assert canvas.get_attribute("width") == canvas.get_attribute("height")
    canvas.send_keys(Keys.ARROW_RIGHT)
    assert "row 0, column 1" in page.text("play-result")


def test_drawing_and_selecting_by_touch_on_a_phone(page: Browser) -> None:
    page.find_element("id", "clear").click()
    page.resize(400)
    page.execute_script("document.getElementById('paper').scrollIntoView({block: 'center'})")
    rect = "const b = document.getElementById(arguments[0]).getBoundingClientRect();"
    left, top, side = page.execute_script(f"{rect} return [b.left, b.top, b.width]", "paper")
    page.touch([(left + x * side, top + y * side) for x, y in ONE])
    assert ink(page)[GRID // 2, GRID // 2] == 255, "the stroke goes through the middle"
    assert page.execute_script("return document.body.dataset.state") == "shown"
    page.execute_script("cnn.look({node: 'relu1'})")
    page.execute_script("document.getElementById('map').scrollIntoView({block: 'center'})")
    left, top, side = page.execute_script(f"{rect} return [b.left, b.top, b.width]", "map")
    page.touch([(left + 2.5 / 6 * side, top + 3.5 / 6 * side)])
    assert "row 3, column 2" in page.text("place")
    wide, window = page.execute_script("return [document.documentElement.scrollWidth, innerWidth]")
    assert wide <= window, "the page is wider than the window"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 400])
def test_the_page_is_accessible(page: Browser, width: int, scheme: str) -> None:
    page.resize(width)
    page.prefer(scheme)
    assert page.violations() == []
    background = page.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (sum(map(int, background[4:-1].split(","))) < 200) == (scheme == "dark")
    page.prefer("light")


def test_the_button_changes_the_theme_and_words_are_explained(page: Browser) -> None:
    page.prefer("light")
    page.find_element("id", "theme").click()
    assert page.execute_script("return getComputedStyle(document.body).colorScheme") == "dark"
    page.find_element("id", "theme").click()
    page.find_element("css selector", "[data-term='stride']").click()
    assert "how many pixels the kernel moves" in page.text("explanation").lower()
    page.find_element("css selector", "body").send_keys(Keys.ESCAPE)
    assert not page.find_element("id", "explanation").is_displayed()


def test_a_dropped_picture_is_read_and_any_other_file_rejected(page: Browser, tmp_path: Path) -> None:
    from PIL import Image, ImageDraw

    picture = Image.new("RGB", (300, 200), "white")
    ImageDraw.Draw(picture).line([(150, 30), (150, 170)], fill="black", width=16)
    picture.save(tmp_path / "one.png")
    page.find_element("id", "file").send_keys(str(tmp_path / "one.png"))
    page.until("return cnn.ink().length && document.body.dataset.state === 'shown' && !cnn.busy()")
    drawn = ink(page)
    assert drawn[GRID // 2, GRID // 2] > 200
    assert drawn[GRID // 2, GRID // 4] == 0
    (tmp_path / "text.png").write_text("no picture")
    page.find_element("id", "file").send_keys(str(tmp_path / "text.png"))
    page.until("return document.getElementById('status').textContent.includes('not a picture')")


def test_the_page_is_saved_with_its_numbers(page: Browser, served: Served, checkpoint: Checkpoint) -> None:
    fetched = page.execute_script("return performance.getEntriesByType('resource').map(entry => entry.name)")
    assert {*fetched} <= {f"{served.url}look"}
    page.execute_script(
        "window.saved = null; const open = URL.createObjectURL; "
        "URL.createObjectURL = blob => { blob.text().then(text => { window.saved = text; }); return open(blob); }"
    )
    page.find_element("id", "save").click()
    page.until("return window.saved !== null")
    saved = page.execute_script("return window.saved")
    assert '"live":false' in saved
    assert saved.count("<script") == 3
