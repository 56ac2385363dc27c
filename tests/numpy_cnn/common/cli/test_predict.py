"""`predict`: pictures of digits, with the network of the package and of a run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from digit_pictures import draw
from PIL import Image
from programs import (
    PROGRAMS,
    ROOT,
    best,
    call,
    error_of,
    succeed,
)

from numpy_cnn.common.training.checkpoint import save_checkpoint
from numpy_cnn.common.training.run_folder import RunFolder

QUICK = ("--limit", 80, "--batch-size", 20, "--epochs", 1)


def test_predict_reads_pictures_in_either_program(trained: dict[str, Path], program: str, tmp_path: Path) -> None:
    pictures = [tmp_path / name for name in ("one.png", "two.jpg", "three.jpeg", "four.bmp")]
    for number, picture in enumerate(pictures):
        draw(picture, number)
    outputs = [succeed(name, "predict", RunFolder(trained[program]).best, *pictures) for name in PROGRAMS]
    assert outputs[0] == outputs[1]

    lines = outputs[0].out.splitlines()
    heads = [line for line in lines if not line.startswith(" ")]
    assert [head.rpartition(": ")[0] for head in heads] == [str(picture) for picture in pictures]
    for head in heads:
        row = lines[lines.index(head) + 1].split()
        assert row[0::2] == [f"{digit}:" for digit in range(10)]
        shares = [float(share.rstrip("%")) for share in row[1::2]]
        assert abs(sum(shares) - 100) < 0.1  # each is rounded to 0.01 %
        assert shares[int(head[-1])] == max(shares)


def test_predict_knows_most_digits_of_pictures(trained: dict[str, Path], tmp_path: Path) -> None:
    labels, pictures = [], []
    for number in range(30):
        pictures.append(tmp_path / f"{number}.png")
        labels.append(draw(pictures[-1], number))
    out = succeed("numpy_cnn", "predict", RunFolder(trained["numpy_cnn"]).best, *pictures).out
    said = [int(line[-1]) for line in out.splitlines() if not line.startswith(" ")]
    assert sum(map(int.__eq__, said, labels)) >= 20


def test_predict_uses_the_network_of_the_package_by_default(tmp_path: Path, program: str) -> None:
    out = succeed(program, "predict", ROOT / "docs" / "images" / "walkthrough_seven.png").out
    assert out.splitlines()[0].endswith("walkthrough_seven.png: 7")


def test_a_picture_that_cannot_be_read_does_not_stop_the_others(tmp_path: Path, program: str) -> None:
    seven, text = ROOT / "docs" / "images" / "walkthrough_seven.png", tmp_path / "text.png"
    text.write_text("seven")
    result = call(program, "predict", text, seven)
    assert result.code == 2
    assert result.out.splitlines()[0] == f"{seven}: 7"
    assert result.err.startswith(f"{program}: error: {text} is not an image")


@pytest.mark.usefixtures("no_pictures")
def test_predict_warns_when_the_network_is_unsure(tmp_path: Path, program: str) -> None:
    """A network trained with a step size of 0 is unsure; one with a large bias is not."""
    succeed(program, "train", *QUICK, "--lr", 0, "--out", tmp_path / "run")
    draw(tmp_path / "digit.png", 0)
    out = succeed(program, "predict", RunFolder(tmp_path / "run").best, tmp_path / "digit.png").out.splitlines()
    shares = [float(share.rstrip("%")) for share in out[1].split()[1::2]]
    second = shares.index(sorted(shares)[-2])
    assert out[-1].startswith(f"  unsure: it may also be {second} (")

    sure = best(tmp_path / "run")
    sure.parameters["fc2.bias"][4] += 100
    save_checkpoint(tmp_path / "sure.safetensors", sure)
    out = succeed(program, "predict", tmp_path / "sure.safetensors", tmp_path / "digit.png").out.splitlines()
    assert out[0].endswith(": 4")
    assert len(out) == 2


@pytest.mark.usefixtures("no_pictures")
def test_scores_trained_with_squared_errors_are_printed_as_probabilities(tmp_path: Path, program: str) -> None:
    """Squared errors train scores towards 0 and 1; a softmax of these would call every answer unsure."""
    succeed(program, "train", *QUICK, "--arch", "tiny", "--out", tmp_path / "run")
    draw(tmp_path / "digit.png", 0)
    for scores, reported in (
        ((0, 1), ["0:  0.00%  1: 100.00%"]),
        ((0.75, 0.25), ["0: 75.00%  1: 25.00%", "unsure: "]),
    ):
        network = best(tmp_path / "run")
        network.parameters["fc1.weight"][:] = 0
        network.parameters["fc1.bias"][:] = scores
        save_checkpoint(tmp_path / "sure.safetensors", network)
        out = succeed(program, "predict", tmp_path / "sure.safetensors", tmp_path / "digit.png").out
        assert out.splitlines()[0].endswith(f": {scores.index(max(scores))}")
        assert [
            line.strip()[: len(start)] for line, start in zip(out.splitlines()[1:], reported, strict=True)
        ] == reported


def test_show_input_saves_the_input_of_the_network(trained: dict[str, Path], program: str, tmp_path: Path) -> None:
    pictures = [tmp_path / "one.png", tmp_path / "two.png"]
    for number, picture in enumerate(pictures):
        draw(picture, number)
    seen = tmp_path / "seen.png"
    succeed(program, "predict", RunFolder(trained[program]).best, *pictures, "--show-input", seen)
    with Image.open(seen) as image:
        assert image.size == (2 * 10 * 8, 10 * 8)
        pixels = np.asarray(image)[::8, ::8]
    assert pixels[1:9, 1:9].max() > 200  # light on dark, as in the data set
    assert (pixels[0] == 128).all()  # and a margin

    message = error_of(program, "predict", RunFolder(trained[program]).best, pictures[0], "--show-input", "x.what")
    assert message == "--show-input x.what: cannot be written (unknown file extension: .what)"
