"""The picture and the page of a walkthrough: complete, safe, self-contained, and correct for every network."""

from __future__ import annotations

import base64
import gzip
import html
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from programs import PROGRAMS, ROOT, succeed
from safetensors.numpy import load

import torch_cnn
from numpy_cnn import ops
from numpy_cnn.common.exhibits.page.graph import nodes
from numpy_cnn.common.exhibits.walkthrough import lesson
from numpy_cnn.common.exhibits.walkthrough.drawing import draw
from numpy_cnn.common.exhibits.walkthrough.learning import learn
from numpy_cnn.common.exhibits.walkthrough.panels import number, precise, total
from numpy_cnn.common.exhibits.walkthrough.saved import page
from numpy_cnn.common.exhibits.walkthrough.trace import Trace
from numpy_cnn.common.spec.architecture import PRESETS, Architecture, preset
from numpy_cnn.common.spec.initial import initial_parameters

PHOTO = ROOT / "docs" / "images" / "walkthrough_lighthouse.jpg"
WALKED = learn(PROGRAMS["numpy_cnn"].tracer(), lesson.fixed(PHOTO, "vertical-edge", 0, 2, 42), 2, 0.1)

NETWORKS = {
    "simple": preset("simple", image_size=(8, 8), filters=3, padding=1, stride=2),
    "hidden with batch norm": preset("hidden", image_size=(8, 8), batch_norm=True, activation="gelu"),
    "tiny": preset("tiny"),
    "lenet5": preset("lenet5", image_size=(16, 16)),
    "vgg": preset("vgg", image_size=(8, 8)),
    "resnet": preset("resnet", image_size=(8, 8)),
}


def walk(architecture: Architecture, steps: int = 2) -> tuple[lesson.Lesson, list[Trace], dict[str, Any]]:
    """Steps of a random network on a random picture, in float32 as in the demo, and torch's first pass."""
    picture = np.random.default_rng(3).standard_normal((1, 1, *architecture.image_size)).astype(np.float32)
    parameters = initial_parameters(architecture, 1)
    start = lesson.Lesson("learned", architecture, parameters, picture[0, 0], picture, 1)
    return (
        *learn(PROGRAMS["numpy_cnn"].tracer(), start, steps, 0.05),
        learn(PROGRAMS["torch_cnn"].tracer(), start, 0, 0.05)[1][0].arrays(),
    )


def setup_of(text: str) -> dict:
    return json.loads(re.search(r'<script type="application/json" id="setup">(.*)</script>', text)[1])


def arrays_of(text: str) -> list[dict[str, np.ndarray]]:
    packed = json.loads(re.search(r'<script type="application/json" id="arrays">(.*)</script>', text)[1])
    return [load(gzip.decompress(base64.b64decode(one))) for one in packed]


def test_the_command_writes_a_picture_and_a_page(tmp_path: Path, program: str) -> None:
    files = tmp_path / "walk.png", tmp_path / "walk.html"
    out = succeed(program, "walkthrough", PHOTO, "--out", files[0], "--html", files[1], "--epochs", 1).out
    assert out.endswith(f"\n{files[0]}\n{files[1]}\n")
    with Image.open(files[0]) as picture:
        assert picture.format == "PNG"
        assert picture.width > 1500
        assert picture.height > picture.width
        assert np.asarray(picture.convert("L")).std() > 10
    text = files[1].read_text(encoding="utf-8")
    assert setup_of(text)["backends"] == [{"numpy_cnn": "NumPy", "torch_cnn": "PyTorch"}[program]]
    assert len(arrays_of(text)) == 3, "the parameters, and the passes before and after the step"


def test_a_deeper_network_has_a_page_and_a_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    start, _, _ = walk(NETWORKS["resnet"], 0)
    monkeypatch.setattr(lesson, "learned", lambda *_: start)
    files = tmp_path / "walk.png", tmp_path / "walk.html"
    typed = ("walkthrough", PHOTO, "--kernel", "learned", "--out", files[0], "--html", files[1], "--epochs", 1)
    out = succeed("numpy_cnn", *typed).out
    assert re.search(r"^block1\.residual\.conv1 +16x8x8 ", out, re.MULTILINE)
    assert out.endswith(f"\n\n{files[0]}\n{files[1]}\n")
    with Image.open(files[0]) as picture:
        rows = np.asarray(picture.convert("L")).std(axis=1) > 0
    layers = len(re.findall(r"^\S+ +[\dx]+ +\S+ +\S+ +\S+$", out, re.MULTILINE))
    assert rows.sum() > 60 * layers, "each layer has a row"
    assert not rows[-20:].any(), "nothing is cut off"


def test_the_size_of_a_network_counts_no_running_statistics() -> None:
    setup = setup_of(page(*walk(NETWORKS["hidden with batch norm"], 0)[:2], "numpy_cnn", "random", 0.1, None))
    torchs = torch_cnn.SimpleCNN(NETWORKS["hidden with batch norm"])
    assert setup["parameters"] == sum(parameter.numel() for parameter in torchs.parameters())


def test_a_name_is_not_interpreted_as_math_text(tmp_path: Path) -> None:
    draw(*WALKED, "numpy_cnn", "$x_{1}$ \\frac " + "日本" * 60 + ".png", tmp_path / "walk.png")
    assert (tmp_path / "walk.png").stat().st_size > 10_000


def test_a_picture_without_edges_can_be_drawn(tmp_path: Path) -> None:
    Image.new("L", (28, 28), 0).save(tmp_path / "black.png")
    start = lesson.fixed(tmp_path / "black.png", "sobel", 1, 12, 0)
    walked = learn(PROGRAMS["numpy_cnn"].tracer(), start, 0, 0.1)
    draw(*walked, "numpy_cnn", "black.png", tmp_path / "walk.png")
    assert "{{" not in page(*walked, "numpy_cnn", "black.png", 0.1, None)


class Links(HTMLParser):
    """Collects every address that a page would fetch."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found += [
            f"{tag} {name}={value}" for name, value in attrs if name in ("src", "href", "action", "data")
        ]


def test_the_page_fetches_nothing() -> None:
    text = page(*WALKED, "numpy_cnn", "tree.jpg", 0.1, None)
    links = Links()
    links.feed(text)
    assert links.found == ["link href=data:,"], "no icon"
    assert not re.search(r"https?:|@import|url\(|XMLHttpRequest|WebSocket|import\(", text)
    policy = html.unescape(re.search(r'Content-Security-Policy" content="([^"]*)"', text)[1])
    assert "default-src 'none'" in policy
    assert "connect-src 'none'" in policy


def test_a_name_is_escaped() -> None:
    name = "</script><script>alert(1)</script>&\"'{{STYLE}}\u2028.png"
    text = page(*WALKED, "numpy_cnn", name, 0.1, None)
    assert text.count("<script") == text.count("</script>") == 3
    assert "alert(1)</" not in text
    assert setup_of(text)["name"] == f"{name}, with the fixed kernel vertical-edge"


@pytest.mark.parametrize("name", NETWORKS)
def test_the_page_carries_the_numbers_of_both_backends(name: str) -> None:
    start, traces, torch = walk(NETWORKS[name])
    parameters, *records = arrays_of(page(start, traces, "numpy_cnn", "x", 0.05, torch))
    for parameter, array in start.parameters.items():
        assert np.array_equal(parameters[parameter], array)
    for record, trace in zip(records, traces, strict=True):
        for node, value in trace.values.items():
            assert np.array_equal(record[f"value.{node}"], value[0])
            assert np.array_equal(record[f"gradient.{node}"], trace.gradients[node][0])
    for node, value in traces[0].values.items():
        apart = value[0].astype(np.float64) - torch[node][0]
        assert np.array_equal(records[0][f"difference.value.{node}"], apart.astype(np.float32))


@pytest.mark.parametrize("architecture", PRESETS.values(), ids=[*PRESETS])
def test_the_graph_has_the_stages_of_the_network(architecture: Architecture) -> None:
    graph = nodes(architecture)
    assert [(node["name"], tuple(node["shape"])) for node in graph[:-1]] == architecture.stages()
    before: set[str] = set()
    for node in graph:
        assert before.issuperset(node["inputs"]), "what a layer reads is computed before it"
        assert len(node["inputs"]) == {"input": 0, "add": 2}.get(node["kind"], 1)
        before.add(node["name"])


@pytest.mark.parametrize("name", NETWORKS)
def test_every_number_is_explained_forward_and_backward(name: str, browser: Any, tmp_path: Path) -> None:
    """In a browser, from a file: the parts of each number add up to it, and its line of code evaluates to it."""
    start, traces, torch = walk(NETWORKS[name])
    file = tmp_path / "page.html"
    file.write_text(page(start, traces, "numpy_cnn", "<b>tree</b>.jpg", 0.05, torch), encoding="utf-8")
    browser.resize(1280)
    browser.open(file.as_uri())
    assert browser.text("name") == "<b>tree</b>.jpg"
    assert not browser.find_element("id", "train-1").is_enabled(), "there is no server"
    for step, trace in enumerate(traces):
        browser.execute_script(f"cnn.network.step = {step}; cnn.refresh()")
        worst = browser.execute_script("return cnn.check(12)")
        # The page sums float32 numbers in float64; the backend's float32 sums differ by their rounding.
        assert worst["error"] < 2e-5, worst
        shown = browser.execute_script("return [...cnn.probabilities()]")
        assert np.array_equal(np.array(shown, np.float32), trace.probabilities[0])
    browser.execute_script("cnn.network.step = 0; cnn.refresh()")
    codes = browser.execute_script(
        "return cnn.setup.nodes.map(({name}) => {"
        "  const {value, parts} = cnn.explain(name, 'forward', {c: 0, y: 0, x: 0});"
        "  return [name, parts[0].code, value];"
        "})"
    )
    values = {node: value[0] for node, value in traces[0].values.items()}
    for node, (layer, code, expected) in zip(nodes(start.architecture), codes, strict=True):
        own = {array: start.parameters.get(f"{layer}.{array}") for array in ("weight", "bias")}
        own |= {array: start.parameters.get(f"{layer}.{array}") for array in ("running_mean", "running_var")}
        inputs = [values[name] for name in node["inputs"]] or [values["input"]]
        names = {"np": np, "ops": ops, "x": inputs[0], "x1": inputs[0], "x2": inputs[-1], "z": inputs[0]}
        got = eval(code, {**names, **own})
        scale = max(1.0, float(np.abs(values.get(layer, inputs[0])).max()))
        assert abs(float(got) - expected) < 2e-5 * scale, (layer, code)
    assert browser.get_log("browser") == []


def test_numbers_are_formatted_for_readers() -> None:
    assert [number(value) for value in (0.0, 1.0, -1.0, 0.256, -0.00012)] == ["0", "1", "−1", "0.26", "−1.2·10⁻⁴"]
    assert [precise(value) for value in (0.99965737, 12.0, 3.4e-7)] == ["0.9997", "12", "3.4·10⁻⁷"]
    assert total([0.5, 0.0, -0.25, 1.0]) == "0.50 − 0.25 + 1"
    assert total([0.0]) == "0"
