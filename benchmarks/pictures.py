"""Measures how well `predict` reads generated pictures of many kinds.

Every picture is generated from a seed: a digit from MNIST's test images or one drawn by strokes, then put on
paper, photographed, scanned or saved as the kind describes. Needs MNIST:

    python benchmarks/pictures.py --data-dir DIR

prints for each kind the share read correctly, the share with a warning, and the share read wrongly without a
warning. For pictures with no digit or several digits, "correct" means that the program reports this.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from numpy_cnn.common.data import mnist
from numpy_cnn.common.data.fit import average_pixels
from numpy_cnn.common.data.pretrained import PRETRAINED
from numpy_cnn.common.photo.doubt import doubts, with_neighbours
from numpy_cnn.common.photo.image import read_digit
from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.training.checkpoint import load_checkpoint

Rng = np.random.Generator
Mask = Image.Image  # mode L: 255 inside a stroke


def arc(x: float, y: float, rx: float, ry: float, start: float, end: float) -> list[tuple[float, float]]:
    """Points on an ellipse around (x, y), angles in degrees, clockwise from the right."""
    angles = np.radians(np.linspace(start, end, 24))
    return [(x + rx * float(np.cos(a)), y + ry * float(np.sin(a))) for a in angles]


# Strokes in a box of 1x1, y downwards.
STROKES: dict[int, list[list[tuple[float, float]]]] = {
    0: [arc(0.5, 0.5, 0.33, 0.48, -90, 270)],
    1: [[(0.36, 0.2), (0.54, 0.02), (0.54, 0.98)]],
    2: [[*arc(0.47, 0.28, 0.32, 0.26, -170, 40), (0.16, 0.96)], [(0.16, 0.96), (0.86, 0.96)]],
    3: [[*arc(0.45, 0.26, 0.29, 0.23, -150, 90)], [*arc(0.45, 0.73, 0.33, 0.25, -90, 150)]],
    4: [[(0.56, 0.02), (0.12, 0.66), (0.9, 0.66)], [(0.66, 0.36), (0.66, 0.98)]],
    5: [[(0.8, 0.04), (0.28, 0.04), (0.24, 0.45), *arc(0.46, 0.68, 0.32, 0.29, -125, 150)]],
    6: [[(0.66, 0.03), (0.4, 0.25), (0.22, 0.6), *arc(0.5, 0.71, 0.28, 0.26, 180, -180)]],
    7: [[(0.14, 0.05), (0.84, 0.05), (0.42, 0.98)]],
    8: [[*arc(0.5, 0.26, 0.25, 0.23, 90, 450)], [*arc(0.5, 0.74, 0.31, 0.25, -90, 270)]],
    9: [[*arc(0.5, 0.28, 0.28, 0.26, 0, 360)], [(0.78, 0.28), (0.74, 0.6), (0.62, 0.97)]],
}


def drawn(digit: int, rng: Rng, width: float, size: int = 280, share: float = 0.6) -> Mask:
    """The strokes of `digit`, `width` as a share of the digit's height, slightly turned, slanted and stretched."""
    height = share * size
    angle, slant = np.radians(rng.uniform(-8, 8)), rng.uniform(-0.25, 0.15)
    stretch = rng.uniform(0.6, 0.85)
    centre = size / 2 + rng.uniform(-0.05, 0.05, 2) * size
    turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    mask = Image.new("L", (4 * size, 4 * size), 0)
    pen = ImageDraw.Draw(mask)
    thick = max(4.0, 4 * width * height)
    for stroke in STROKES[digit]:
        points = np.array(stroke) - 0.5
        points = np.stack([stretch * points[:, 0] - slant * points[:, 1], points[:, 1]], axis=1) * height
        points = points + rng.normal(0, 0.004 * height, points.shape)
        line = [(float(x), float(y)) for x, y in 4 * (points @ turn.T + centre)]
        pen.line(line, fill=255, width=round(thick), joint="curve")
        for x, y in line:
            pen.ellipse((x - thick / 2, y - thick / 2, x + thick / 2, y + thick / 2), fill=255)
    return mask.reduce(4)


@dataclass
class Source:
    """A source of digits: half of them from MNIST's test images, half drawn by strokes."""

    images: np.ndarray[Any, Any]
    labels: np.ndarray[Any, Any]
    next: int = 0

    def mask(self, rng: Rng, width: float | None = None, size: int = 280, share: float = 0.6) -> tuple[Mask, int]:
        """A digit as a mask, and its label; with a `width` it is always drawn by strokes."""
        if width is None and rng.random() < 0.5:
            self.next += 1
            digit, label = self.images[self.next], int(self.labels[self.next])
            side = round(share * size * 28 / 20)
            large = Image.fromarray(digit).resize((side, side), Image.Resampling.BICUBIC)
            large = large.filter(ImageFilter.GaussianBlur(side / 60)).point(
                lambda v: max(0, min(255, round((v - 90) * 3)))
            )
            mask = Image.new("L", (size, size), 0)
            mask.paste(large, tuple(int(v) for v in (size - side) / 2 + rng.uniform(-0.05, 0.05, 2) * size))
            return mask, label
        label = int(rng.integers(10))
        return drawn(label, rng, width or float(rng.uniform(0.08, 0.14)), size, share), label


def on_paper(
    mask: Mask, ink: tuple[int, ...] = (20, 20, 30), paper: tuple[int, ...] = (250, 250, 245)
) -> Image.Image:
    """The digit in one colour on a background of another."""
    picture = Image.new("RGB", mask.size, paper)
    picture.paste(Image.new("RGB", mask.size, ink), mask=mask)
    return picture


def noisy(picture: Image.Image, rng: Rng, sigma: float = 3) -> Image.Image:
    """Add the noise of a camera."""
    pixels = np.asarray(picture, np.float64)
    return Image.fromarray((pixels + rng.normal(0, sigma, pixels.shape)).clip(0, 255).astype(np.uint8))


def shaded(picture: Image.Image, light: np.ndarray[Any, Any]) -> Image.Image:
    """Multiply each pixel by the light that falls on it."""
    return Image.fromarray((np.asarray(picture, np.float64) * light[..., None]).clip(0, 255).astype(np.uint8))


Made = tuple[Image.Image, int | None, str]  # the picture, the digit (None for no digit or several), the suffix
Kind = Callable[[Source, Rng], Made]


def plain(source: Source, rng: Rng) -> Made:
    """Black on white."""
    mask, digit = source.mask(rng)
    return on_paper(mask), digit, ".png"


def thin(source: Source, rng: Rng) -> Made:
    """Strokes of 0.7 to 3 % of the digit's height."""
    mask, digit = source.mask(rng, width=float(rng.uniform(0.007, 0.03)), size=400)
    return on_paper(mask), digit, ".png"


def thick(source: Source, rng: Rng) -> Made:
    """A marker: strokes of 15 to 20 %."""
    mask, digit = source.mask(rng, width=float(rng.uniform(0.15, 0.2)))
    return on_paper(mask), digit, ".png"


def pencil(source: Source, rng: Rng) -> Made:
    """Grey on off-white, as a noisy JPEG."""
    mask, digit = source.mask(rng)
    grey = int(rng.integers(110, 170))
    return noisy(on_paper(mask, (grey,) * 3, (225, 222, 210)), rng, 5), digit, ".jpg"


def chalk(source: Source, rng: Rng) -> Made:
    """Light on dark."""
    mask, digit = source.mask(rng)
    return noisy(on_paper(mask, (230, 230, 225), (30, 50, 40)), rng, 4), digit, ".jpg"


def small(source: Source, rng: Rng) -> Made:
    """A digit that covers a tenth of a large page."""
    mask, digit = source.mask(rng, size=1600, share=0.1)
    return on_paper(mask), digit, ".png"


def tight(source: Source, rng: Rng) -> Made:
    """Cropped to the ink."""
    mask, digit = source.mask(rng)
    left, top, right, bottom = mask.getbbox() or (0, 0, *mask.size)
    return on_paper(mask.crop((left - 2, top - 2, right + 2, bottom + 2))), digit, ".png"


def on_table(source: Source, rng: Rng) -> Made:
    """A page on a dark table, turned a little."""
    mask, digit = source.mask(rng)
    page = (
        on_paper(mask)
        .convert("RGBA")
        .rotate(float(rng.uniform(-12, 12)), expand=True, resample=Image.Resampling.BICUBIC)
    )
    table = Image.new(
        "RGB", (page.width + int(rng.integers(20, 200)), page.height + int(rng.integers(20, 200))), (70, 50, 40)
    )
    at = tuple(int(rng.integers(-10, more + 1)) for more in (table.width - page.width, table.height - page.height))
    table.paste(page, at, page)
    return noisy(table, rng), digit, ".jpg"


def scan_frame(source: Source, rng: Rng) -> Made:
    """A black frame, or black bars at some sides, around a scan."""
    mask, digit = source.mask(rng)
    pixels = np.asarray(on_paper(mask)).copy()
    sides = rng.random(4) < 0.7
    for side, there in enumerate(sides):
        if there:
            bar = int(rng.integers(2, 26))
            turned = np.rot90(pixels, side)
            turned[:bar] = 5
    return Image.fromarray(pixels), digit, ".png"


def shade(source: Source, rng: Rng) -> Made:
    """Light that falls off to one side."""
    mask, digit = source.mask(rng)
    size = mask.size[0]
    angle, down, right = rng.uniform(0, 2 * np.pi), *np.indices((size, size)) / size - 0.5
    light = 0.72 + 0.5 * (np.cos(angle) * down + np.sin(angle) * right)
    return noisy(shaded(on_paper(mask), light), rng), digit, ".jpg"


def shadow(source: Source, rng: Rng) -> Made:
    """A shadow with an edge across the page."""
    mask, digit = source.mask(rng)
    size = mask.size[0]
    angle, down, right = rng.uniform(0, 2 * np.pi), *np.indices((size, size)) / size - 0.5
    across = np.cos(angle) * down + np.sin(angle) * right - rng.uniform(-0.25, 0.25)
    light = 1 - rng.uniform(0.3, 0.6) / (1 + np.exp(-across * rng.uniform(20, 200)))
    return noisy(shaded(on_paper(mask), light), rng), digit, ".jpg"


def same_grey(source: Source, rng: Rng) -> Made:
    """Coloured ink on coloured paper, both of the same grey."""
    mask, digit = source.mask(rng)
    pairs = [((205, 60, 60), (60, 125, 90)), ((60, 125, 90), (205, 60, 60)), ((90, 100, 215), (130, 107, 60))]
    ink, paper = pairs[int(rng.integers(len(pairs)))]
    return noisy(on_paper(mask, ink, paper), rng, 2), digit, ".png"


def white_on_transparent(source: Source, rng: Rng) -> Made:
    """White ink on a transparent background."""
    mask, digit = source.mask(rng)
    picture = Image.new("RGBA", mask.size, (255, 255, 255, 0))
    picture.putalpha(mask)
    return picture, digit, ".png"


def black_on_transparent(source: Source, rng: Rng) -> Made:
    """Black ink on a transparent background."""
    mask, digit = source.mask(rng)
    picture = Image.new("RGBA", mask.size, (0, 0, 0, 0))
    picture.putalpha(mask)
    return picture, digit, ".png"


def sixteen_bits(source: Source, rng: Rng) -> Made:
    """16-bit grey."""
    mask, digit = source.mask(rng)
    grey = 60000 - np.asarray(mask, np.float64) / 255 * rng.uniform(20000, 55000)
    return Image.fromarray((grey + rng.normal(0, 300, grey.shape)).clip(0, 65535).astype(np.uint16)), digit, ".png"


def blank(_: Source, rng: Rng) -> Made:
    """Paper with the noise of a camera, 8 or 16 bits."""
    if rng.random() < 0.5:
        level = rng.uniform(20000, 65000)
        grey = level + rng.normal(0, rng.uniform(1, 1000), (240, 200))
        return Image.fromarray(grey.clip(0, 65535).astype(np.uint16)), None, ".png"
    grey = rng.uniform(40, 250) + rng.normal(0, rng.uniform(0, 5), (240, 200))
    return Image.fromarray(grey.clip(0, 255).astype(np.uint8)), None, ".png"


def two_digits(source: Source, rng: Rng) -> Made:
    """Two digits side by side."""
    first, second = (source.mask(rng)[0] for _ in range(2))
    boxes = [mask.crop(mask.getbbox()) for mask in (first, second)]
    gap = int(rng.integers(12, 60))
    mask = Image.new("L", (sum(box.width for box in boxes) + gap + 80, 280), 0)
    mask.paste(boxes[0], (40, 60))
    mask.paste(boxes[1], (40 + boxes[0].width + gap, 60 + int(rng.integers(-10, 11))))
    return on_paper(mask), None, ".png"


def no_digit(_: Source, rng: Rng) -> Made:
    """A scene, a texture, scribbles or a smooth gradient."""
    size, which = 240, int(rng.integers(4))
    if which == 0:  # shapes of many colours
        picture = Image.new("RGB", (size, size), tuple(int(v) for v in rng.integers(0, 256, 3)))
        pen = ImageDraw.Draw(picture)
        for _ in range(25):
            x, y, w, h = (int(v) for v in rng.integers(0, size, 4))
            pen.ellipse((x, y, x + w // 2, y + h // 2), fill=tuple(int(v) for v in rng.integers(0, 256, 3)))
        return picture, None, ".jpg"
    if which == 1:  # coarse noise
        grain = rng.integers(0, 256, (30, 30), dtype=np.uint8)
        return Image.fromarray(grain).resize((size, size), Image.Resampling.BICUBIC), None, ".png"
    if which == 2:  # lines of distant text
        grey = np.full((size, size), 245, np.uint8)
        for row in range(20, size - 20, 16):
            for column in range(20, size - 20, 9):
                if rng.random() < 0.85:
                    grey[row : row + 8, column : column + int(rng.integers(3, 7))] = 40
        return Image.fromarray(grey), None, ".png"
    light = np.linspace(80, 230, size)[None].repeat(size, axis=0) + rng.normal(0, 2, (size, size))
    return Image.fromarray(light.clip(0, 255).astype(np.uint8)), None, ".png"


KINDS: tuple[Kind, ...] = (
    plain, thin, thick, pencil, chalk, small, tight, on_table, scan_frame, shade, shadow, same_grey,
    white_on_transparent, black_on_transparent, sixteen_bits, blank, two_digits, no_digit,
)  # fmt: skip


def campaign(folder: Path, data_dir: Path, each: int, seed: int) -> Iterator[tuple[str, Path, int | None]]:
    """Write the pictures; yield the kind, the file and the digit of each."""
    _, test = mnist.read(mnist.find(data_dir))
    for number, kind in enumerate(KINDS):
        source = Source(test.images, test.labels, next=seed * 1000 + number * each)
        for index in range(each):
            picture, digit, suffix = kind(source, np.random.default_rng([seed, number, index]))
            path = folder / f"{kind.__name__}-{index}-{'none' if digit is None else digit}{suffix}"
            picture.save(path)
            yield kind.__name__, path, digit


def main(arguments: list[str] | None = None) -> int:
    """Print the table; return 0 if both goals are met."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-dir", type=Path, required=True, help="folder of MNIST")
    parser.add_argument("--checkpoint", type=Path, default=PRETRAINED, help="network; the shipped one if omitted")
    parser.add_argument("--each", type=int, default=40, help="pictures of each kind")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder that keeps the pictures; a temporary one if omitted")
    typed = parser.parse_args(arguments)
    from numpy_cnn.backend import Backend

    checkpoint = load_checkpoint(typed.checkpoint)
    network = Backend(checkpoint.architecture, checkpoint.parameters, checkpoint.config.optimization)
    counts: dict[str, list[int]] = {kind.__name__: [0, 0, 0, 0] for kind in KINDS}
    with tempfile.TemporaryDirectory() as temporary:
        folder = typed.keep or Path(temporary)
        folder.mkdir(exist_ok=True)
        for kind, path, digit in campaign(folder, typed.data_dir, typed.each, typed.seed):
            try:
                reading = read_digit(path, checkpoint.data_size, checkpoint.pixel)
            except UserError as error:
                answer, warned = None, [str(error)]
            else:
                inputs = average_pixels(reading.inputs, checkpoint.architecture.image_size)
                shares = network.probabilities(network.logits(with_neighbours(inputs)))
                answer, warned = int(shares[0].argmax()), doubts(shares, reading.notes)
            right = bool(warned) if digit is None else answer == digit
            wrong = not right and not warned
            row = counts[kind]
            row[0] += 1
            row[1] += right
            row[2] += bool(warned)
            row[3] += wrong
            if not right:
                print(f"{path.name}: {answer} {'; '.join(warned)}", file=sys.stderr)
    print("| kind | pictures | correct | warnings | wrong without a warning |")
    print("|---|---|---|---|---|")
    total = [sum(row[column] for row in counts.values()) for column in range(4)]
    for name, (pictures, right, warned, wrong) in [*counts.items(), ("all", total)]:
        shares = f"{right / pictures:.1%} | {warned} | {wrong / pictures:.1%}"
        print(f"| {name.replace('_', ' ')} | {pictures} | {shares} |")
    return 0 if total[1] >= 0.97 * total[0] and total[3] <= 0.01 * total[0] else 1


if __name__ == "__main__":
    sys.exit(main())
