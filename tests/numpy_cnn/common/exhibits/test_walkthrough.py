"""A picture's forward and backward pass: numbers computed by hand and by both backends, and the report."""

from __future__ import annotations

import math
import os
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from digit_pictures import draw
from mnist_files import real_mnist_dir
from PIL import Image
from programs import PROGRAMS, ROOT, Result, error_of, fork, spawn, succeed

from numpy_cnn.common.exhibits.walkthrough import comparing, lesson
from numpy_cnn.common.exhibits.walkthrough.focus import loudest
from numpy_cnn.common.exhibits.walkthrough.kernels import KERNELS
from numpy_cnn.common.exhibits.walkthrough.learning import learn
from numpy_cnn.common.exhibits.walkthrough.picture import read_grey
from numpy_cnn.common.exhibits.walkthrough.trace import Trace
from numpy_cnn.common.spec.architecture import Architecture
from numpy_cnn.common.training.run_folder import RunFolder
from parity.bounds.derived import gamma

U = 2.0**-53  # the roundoff of float64
PHOTO = ROOT / "docs" / "images" / "walkthrough_lighthouse.jpg"


@pytest.fixture
def drawn_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Disable the plots in tests of the printed text: matplotlib takes longer than everything else."""
    monkeypatch.setattr("numpy_cnn.common.cli.walkthrough.Walkthrough._draw", lambda *_: [])


def traced(program: str, start: lesson.Lesson, epochs: int = 0, lr: float = 0.1) -> list[Trace]:
    return learn(PROGRAMS[program].tracer(), start, epochs, lr)[1]


# Small enough to compute by hand: a 4x4 picture, bright on the left; the kernel responds in both columns.
PICTURE = np.array([[1.0, 1, 0, 0]] * 3 + [[1.0, 0, 0, 0]])
PAPER = lesson.Lesson(
    "vertical-edge",
    Architecture(image_size=(4, 4), filters=1, hidden=None, classes=2, fixed_edges=True),
    {
        "conv1.weight": KERNELS["vertical-edge"][None, None],
        "fc1.weight": np.array([[0.0], [math.log(3) / 3]]),
        "fc1.bias": np.zeros(2),
    },
    PICTURE,
    PICTURE[None, None],
    0,
)


def near(got: object, paper: object) -> None:
    """Equal up to 8 units in the last place: 4 are allowed for one exp or log, half a unit for each product."""
    np.testing.assert_array_max_ulp(
        np.asarray(got), np.broadcast_to(np.asarray(paper, float), np.shape(got)), maxulp=8
    )


def within(roundings: int, got: Any, expected: Any, size: Any) -> None:
    """Both sides are within γₙ · size of the exact sum of terms whose absolute values add up to `size`."""
    assert (np.abs(np.asarray(got) - expected) <= 2 * gamma(roundings, U) * size).all()


def test_the_numbers_equal_those_computed_by_hand(program: str) -> None:
    (trace,) = traced(program, PAPER)
    np.testing.assert_array_equal(trace.values["conv1"][0, 0], [[3, 3], [3, 2]])
    np.testing.assert_array_equal(trace.values["relu1"], trace.values["conv1"])
    np.testing.assert_array_equal(trace.values["pool1"], [[[[3]]]])
    np.testing.assert_array_equal(trace.routes[0, 0], [[1, 0], [0, 0]])  # the first of three equal maxima
    # Logits 0 and log 3: probabilities 1/4 and 3/4, and the right class is 0.
    near(trace.probabilities, [[0.25, 0.75]])
    near(trace.loss, math.log(4))
    assert (trace.scores, trace.answer) == ("fc1", 1)
    near(trace.gradients["fc1"], [[-0.75, 0.75]])
    # Back through the weights (0, log 3 / 3), then to the position that pooling selected, then through the kernel.
    u = 0.75 * math.log(3) / 3
    near(trace.gradients["pool1"], [[[[u]]]])
    near(trace.gradients["conv1"][0, 0], [[u, 0], [0, 0]])
    kernel = np.pad(KERNELS["vertical-edge"], (0, 1))
    near(trace.gradients["input"][0, 0], u * kernel)
    near(trace.parameters["conv1.weight"][0, 0], u * PICTURE[:3, :3])
    near(trace.parameters["fc1.weight"], [[-2.25], [2.25]])


def test_only_the_dense_layer_learns_from_a_fixed_kernel(program: str) -> None:
    """A step of 0.1 against (−2.25, 2.25) and (−0.75, 0.75) moves the logits by 0.1 · (9 · 0.75 + 0.75) each."""
    before, after = traced(program, PAPER, epochs=1)
    np.testing.assert_array_equal(after.values["conv1"], before.values["conv1"])
    near(after.values["fc1"], [[0.75, math.log(3) - 0.75]])
    assert after.loss < before.loss
    assert after.answer == 0


def test_a_trace_does_not_change_its_inputs(program: str) -> None:
    kept = {name: array.copy() for name, array in PAPER.parameters.items()}
    traces = traced(program, PAPER, epochs=3)
    for name, array in kept.items():
        np.testing.assert_array_equal(PAPER.parameters[name], array)
    np.testing.assert_array_equal(traces[0].values["input"], PAPER.inputs)
    assert all(value.dtype == np.float64 for value in traces[0].arrays().values())


@pytest.mark.parametrize("kernel", KERNELS)
def test_both_backends_find_the_same_maxima_in_a_photograph(kernel: str) -> None:
    """Bit-identical because the convolution is exact; another maximum would route the gradient elsewhere."""
    start = lesson.fixed(PHOTO, kernel, 1, 2, 42)
    ours, theirs = (traced(name, start, epochs=2) for name in ("numpy_cnn", "torch_cnn"))
    for stage in ("conv1", "relu1", "pool1"):
        np.testing.assert_array_equal(ours[0].values[stage], theirs[0].values[stage])
    np.testing.assert_array_equal(ours[0].routes, theirs[0].routes)
    for (name, a), b in zip(comparing.arrays_of(ours).items(), comparing.arrays_of(theirs).values(), strict=True):
        # Later stages sum 169 products each; 1000 roundings of the largest value allow three such sums per side.
        assert np.abs(a - b).max() <= 1000 * np.finfo(float).eps * max(1, np.abs(a).max()), name


@pytest.mark.parametrize("kernel", ["sobel", "horizontal-edge"])
def test_ties_in_flat_areas_are_resolved_alike(tmp_path: Path, kernel: str) -> None:
    """Pixels are rounded to a binary grid, so that 3·(77/255) − 3·(77/255) is 0 in any order of summation.

    Without the grid, 7 maxima of this picture had other positions, and gradients differed by 0.025.
    """
    picture = np.full((28, 28), 77, np.uint8)
    picture[5:20, 8:14], picture[:, 20:] = 200, 90
    Image.fromarray(picture).save(tmp_path / "flat.png")
    start = lesson.fixed(tmp_path / "flat.png", kernel, 1, 2, 42)
    ours, theirs = (traced(name, start)[0] for name in PROGRAMS)
    np.testing.assert_array_equal(ours.values["conv1"], theirs.values["conv1"])
    np.testing.assert_array_equal(ours.routes, theirs.routes)
    assert not ours.values["conv1"][0, 0, 20:, :6].any()
    within(200, ours.gradients["input"], theirs.gradients["input"], np.abs(theirs.gradients["input"]).max())


@pytest.mark.parametrize("stage", ["input", "conv1", "flatten"])
def test_the_gradients_equal_finite_differences(stage: str) -> None:
    """Pixels: a central difference. Other stages: their gradients must be consistent with those of the pixels."""
    start = lesson.fixed(PHOTO, "blur", 0, 3, 7)
    trace = traced("numpy_cnn", start)[0]
    if stage == "input":
        at, step = (0, 0, 8, 15), 1e-6
        moved = []
        for sign in (1, -1):
            inputs = start.inputs.copy()
            inputs[at] += sign * step
            moved.append(traced("numpy_cnn", replace(start, inputs=inputs))[0].loss)
        # Division by the step magnifies the rounding of the losses; the curvature adds an error of order step².
        slope = (moved[0] - moved[1]) / (2 * step)
        assert abs(slope - trace.gradients["input"][at]) <= gamma(8, U) * trace.loss / step + step**2
    elif stage == "conv1":  # Σ dy · y is the directional derivative along y, which a linear layer preserves
        routed = trace.gradients["conv1"] * trace.values["conv1"]
        within(2000, routed.sum(), np.sum(trace.gradients["input"] * start.inputs), np.abs(routed).sum())
    else:
        weights = start.parameters["fc1.weight"]
        upstream = trace.gradients["fc1"]
        within(6, trace.gradients["flatten"], upstream @ weights, np.abs(upstream) @ np.abs(weights))


# The notebook that the project started from: a corner of its picture, its kernel, seed and format.


def test_the_dense_layer_starts_from_numpys_old_generator_as_notebooks_do() -> None:
    np.random.seed(42)
    expected = np.random.randn(2, 169) * 0.01
    np.testing.assert_array_equal(lesson.fixed(PHOTO, "blur", 1, 2, 42).parameters["fc1.weight"], expected)


def test_the_samples_are_printed_as_in_a_notebook(tmp_path: Path, drawn_nothing: None, program: str) -> None:
    """The expected values were computed with loops over the picture: (67 − 67) / 255 and so on."""
    greys = np.array([[67, 68, 67, 67, 68], [69, 70, 71, 71, 73], [74, 74, 74, 75, 76], [78, 78, 77, 78, 79]])
    picture = np.full((28, 28), 80, np.uint8)
    picture[:4, :5] = greys
    Image.fromarray(picture).save(tmp_path / "corner.png")
    out = succeed(program, "walkthrough", tmp_path / "corner.png", "--epochs", 1).out
    assert out.startswith(
        "Input Image shape: (28, 28)\nInput Image sample data (5x5):\n"
        "[[0.2627451  0.26666667 0.2627451  0.2627451  0.26666667]\n"
        " [0.27058824 0.2745098  0.27843137 0.27843137 0.28627451]\n"
    )
    assert "\nConvolution Kernel:\n[[ 1.  0. -1.]\n [ 1.  0. -1.]\n [ 1.  0. -1.]]\n" in out
    assert (
        "\nAfter Convolution (shape (26, 26)): sample 5x5 values:\n[[-0.00784314 -0.00392157 -0.01960784 " in out
    )
    assert "\nAfter ReLU (shape (26, 26)): sample 5x5 values:\n[[0. " in out
    assert "\nAfter Max Pooling (shape (13, 13)): sample 5x5 values:\n" in out
    flattened = re.search(
        r"\nAfter Flattening: shape \(169,\)\nFlattened vector sample \(first 10 values\): \[([^]]+)]", out
    )
    assert flattened is not None, out
    assert len(flattened[1].split()) == 10
    reported = re.search(
        r"===== Epoch 0 =====\nFlattened input size: \(169,\)\nLogits before softmax: \[(.+) (.+)\]\n\n"
        r"Softmax probabilities: \[(.+) (.+)\]\nCross-Entropy Loss: (.+)\n"
        r"Predicted class: ([01]) \| Correct: (\w+)\n",
        out,
    )
    assert reported is not None, out
    logits, (p0, p1) = np.array([float(x) for x in reported.groups()[:2]]), map(float, reported.groups()[2:4])
    # Inputs and outputs are printed with eight decimals.
    assert np.abs(np.array([p0, p1]) - np.exp(logits) / np.exp(logits).sum()).max() <= 2e-8
    assert abs(float(reported[5]) + math.log(p1)) <= 2e-8 / p1
    assert reported[7] == str(reported[6] == "1")
    for words in (
        "After 1 epochs",
        "Gradient at the logits",
        "Pooling routed the gradient to 169 of 676 positions",
    ):
        assert words in out


def test_a_picture_is_converted_as_by_pillow() -> None:
    with Image.open(PHOTO) as picture:
        expected = np.asarray(picture.convert("L").resize((28, 28)), dtype=float) / 255
    np.testing.assert_array_equal(read_grey(PHOTO, (28, 28)), expected)


def test_transparency_becomes_white_and_16_bits_are_scaled(tmp_path: Path) -> None:
    Image.new("RGBA", (30, 30), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    assert read_grey(tmp_path / "clear.png", (28, 28)).min() == 1
    Image.fromarray(np.full((30, 30), 65535, np.uint16)).save(tmp_path / "deep.png")
    assert read_grey(tmp_path / "deep.png", (28, 28)).min() == 1


def test_the_close_up_of_a_position_adds_up(program: str) -> None:
    start = lesson.fixed(PHOTO, "vertical-edge", 1, 2, 42)
    trace = traced(program, start)[0]
    focus = loudest(start, trace)
    assert (focus.patch * focus.kernel).sum() + focus.bias == focus.answer == trace.values["conv1"].max()
    assert focus.answer == focus.window.max() == trace.values["pool1"][0, 0][focus.pool]
    assert focus.routed.sum() == focus.gradient == trace.gradients["pool1"][0, 0][focus.pool]


# A trained network


def test_a_walkthrough_of_a_trained_network(
    tmp_path: Path, drawn_nothing: None, trained: dict[str, Path], program: str
) -> None:
    digit = draw(tmp_path / "digit.png", 0)
    checkpoint = RunFolder(trained["torch_cnn"]).best
    out = succeed(
        program, "walkthrough", tmp_path / "digit.png", "--kernel", "learned", "--checkpoint", checkpoint
    ).out
    assert "Input Image shape: (8, 8)" in out
    assert "the first of 8" in out
    assert "After the Hidden Layer: shape (128,)" in out
    predicted = succeed(program, "predict", checkpoint, tmp_path / "digit.png").out
    assert predicted.splitlines()[0].endswith(f": {digit}")
    assert f"the network's prediction, {digit}, is used as the label" in out
    share = float(re.search(rf" {digit}: +([\d.]+)%", predicted)[1])
    start = lesson.learned(tmp_path / "digit.png", checkpoint, None)
    probabilities = traced(program, start)[0].probabilities
    assert f"{probabilities[0, digit]:.2%}" == f"{share / 100:.2%}"


def test_all_parameters_of_a_trained_network_are_updated(tmp_path: Path, trained: dict[str, Path]) -> None:
    draw(tmp_path / "digit.png", 1)
    start = lesson.learned(tmp_path / "digit.png", RunFolder(trained["numpy_cnn"]).best, 3)
    ours, theirs = (traced(name, start, epochs=2, lr=0.01) for name in PROGRAMS)
    assert ours[-1].loss < ours[0].loss
    assert not np.array_equal(ours[-1].values["conv1"], ours[0].values["conv1"])
    np.testing.assert_array_equal(ours[0].routes, theirs[0].routes)
    for one, other in zip(ours, theirs, strict=True):
        within(10_000, one.loss, other.loss, other.loss)  # no sum of two steps has more roundings


def test_the_seven_in_the_documentation_is_from_mnist() -> None:
    from numpy_cnn.common.data import mnist

    dataset = mnist.load(real_mnist_dir())
    pixels = (dataset.pixel.fraction(dataset.test.images[124, 0]) * 255).round()
    with Image.open(ROOT / "docs" / "images" / "walkthrough_seven.png") as picture:
        np.testing.assert_array_equal(np.asarray(picture), pixels)
    assert dataset.test.labels[124] == 7


# Side by side


def test_compare_runs_the_other_backend(tmp_path: Path) -> None:
    result = fork("-m", "numpy_cnn", "walkthrough", PHOTO, "--compare", "--epochs", 1, cwd=tmp_path)
    assert result.code == 0, result.err
    table = result.out.partition("===== numpy_cnn and torch_cnn =====\n")[2]
    for stage in ("conv1", "pool1", "routes"):
        assert re.search(rf"^{stage} .* none, bit for bit$", table, re.MULTILINE), table
    largest = float(re.search(r"The largest difference of all is ([\d.e+-]+);", table)[1])
    assert largest < 1e-14
    for row in ("probabilities", "loss", "gradient of input", "gradient of fc1.weight", "losses by epoch"):
        assert f"\n{row} " in table


def test_a_missing_torch_gives_one_line(tmp_path: Path) -> None:
    hide = "import importlib.util as u; f = u.find_spec; u.find_spec = lambda n: None if n == 'torch' else f(n)"
    (tmp_path / "sitecustomize.py").write_text(hide)
    path = f"{tmp_path}{os.pathsep}{ROOT}"
    result = spawn("-m", "numpy_cnn", "walkthrough", PHOTO, "--compare", cwd=tmp_path, PYTHONPATH=path)
    assert (result.code, result.out) == (2, "")
    assert result.err.startswith("numpy_cnn: error: --compare: torch_cnn: error: PyTorch is not installed: ")
    assert result.err.count("\n") == 1
    assert not (tmp_path / "walkthrough.png").exists()


def test_differences_are_reported_where_they_are_largest() -> None:
    ours = {"a": np.array([[1.0, 2.0]]), "b": np.array(3.0)}
    theirs = {"a": np.array([[1.0, 2.5]]), "b": np.array(3.0)}
    _, first, second, last = comparing.side_by_side(ours, theirs, ("one", "two"))
    assert re.fullmatch(r"a +1x2  0,1 +2 +2\.5  5\.0e-01", first)
    assert re.fullmatch(r"b +one number  - +3 +3  none, bit for bit", second)
    assert "5.0e-01" in last


def test_all_numbers_can_be_saved_as_arrays(tmp_path: Path, program: str) -> None:
    result = succeed(program, "walkthrough", PHOTO, "--arrays", tmp_path / "all.npz", "--epochs", 3)
    assert result == Result(0, "", "")
    with np.load(tmp_path / "all.npz") as arrays:
        assert arrays["losses by epoch"].shape == (4,)
        assert arrays["gradient of input"].shape == (1, 1, 28, 28)


# Mistakes


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        (("none.png",), "cannot read the image none.png: No such file"),
        ((PHOTO, "--label", "2"), "--label 2: the classes are 0 to 1; --classes 3 makes room for it"),
        ((PHOTO, "--label", "-1"), "--label -1: the classes are 0 to 1"),
        ((PHOTO, "--classes", "1", "--label", "0"), "--classes must be from 2 to 100, got 1"),
        ((PHOTO, "--classes", "101"), "--classes must be from 2 to 100, got 101"),
        ((PHOTO, "--epochs", "-1"), "--epochs must not be negative, got -1"),
        ((PHOTO, "--lr", "0"), "--lr must be a positive number, got 0.0"),
        ((PHOTO, "--lr", "nan"), "--lr must be a positive number, got nan"),
        ((PHOTO, "--seed", "-4"), "--seed must be from 0 to 4294967295, got -4"),
        ((PHOTO, "--seed", "4294967296"), "--seed must be from 0 to 4294967295, got 4294967296"),
        ((PHOTO, "--checkpoint", "x.safetensors"), "only --kernel learned reads one, not vertical-edge"),
        ((PHOTO, "--kernel", "learned", "--checkpoint", "x"), "x: no such checkpoint"),
        ((PHOTO, "--kernel", "learned", "--checkpoint", "x", "--classes", "3"), "has its own"),
        ((PHOTO, "--out", "no/such/folder.png"), "--out no/such/folder.png: no folder no/such"),
        ((PHOTO, "--html", "no/such/page.html"), "--html no/such/page.html: no folder no/such"),
        ((PHOTO, "--arrays", "no/such/a.npz"), "no/such/a.npz"),
        ((__file__,), "is not an image that can be read"),
    ],
)
def test_mistakes_give_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: tuple[object, ...], message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    assert message in error_of("numpy_cnn", "walkthrough", *typed)


def test_a_step_that_overflows_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str) -> None:
    monkeypatch.chdir(tmp_path)
    message = error_of(program, "walkthrough", PHOTO, "--lr", "1e308", "--label", "0", "--epochs", 9)
    assert "--lr 1e+308 is too large a step" in message


def test_help_needs_neither_torch_nor_matplotlib(tmp_path: Path, program: str) -> None:
    code = (
        f"import atexit, sys, {program}.__main__ as m\n"
        "atexit.register(lambda: print('loaded', sorted({'torch', 'matplotlib', 'PIL'} & {*sys.modules})))\n"
        "m.main(m.PROGRAM, ['walkthrough', '--help'])"
    )
    result = spawn("-c", code, cwd=tmp_path)
    assert "--kernel" in result.out
    assert result.out.endswith("loaded []\n"), result.out[-200:]
