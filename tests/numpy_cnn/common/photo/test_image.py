"""A user's picture is converted the way the data set was made.

The expected result is known exactly: MNIST's conversion of a bitmap whose longer side is 20 points, enlarged by a
whole factor, is the bitmap itself, bit for bit.
"""

from __future__ import annotations

import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mnist_files import real_mnist_dir
from PIL import Image, ImageDraw

from numpy_cnn.common.data import PIXELS
from numpy_cnn.common.data.fit import average_pixels
from numpy_cnn.common.photo.doubt import doubts, with_neighbours
from numpy_cnn.common.photo.image import read_digit
from numpy_cnn.common.spec.errors import UserError

MNIST, UCI = PIXELS["mnist"], PIXELS["digits"]


def stroke(seed: int) -> np.ndarray:
    """A random connected stroke two points wide as a boolean bitmap, 20 rows high and at most 20 columns wide."""
    rng = np.random.default_rng(seed)
    bitmap = np.zeros((10, 10), dtype=np.bool_)
    column = 5
    for row in range(10):
        turn = min(max(0, column + int(rng.integers(-1, 2))), 9)
        bitmap[row, min(column, turn) : max(column, turn) + 1] = True
        column = turn
    return bitmap[:, bitmap.any(axis=0)].repeat(2, axis=0).repeat(2, axis=1)


def picture(bitmap, factor=4, top=9, left=5, bottom=3, right=8, paper=255, ink=0) -> np.ndarray:
    large = bitmap.repeat(factor, axis=0).repeat(factor, axis=1)
    large = np.pad(large, ((top, bottom), (left, right)))
    return np.where(large, ink, paper).astype(np.uint8)


def read(tmp_path, array, image_size=(28, 28), pixel=MNIST) -> np.ndarray:
    path = tmp_path / "digit.png"
    Image.fromarray(array).save(path)
    return read_digit(path, image_size, pixel).inputs


def raw(inputs, pixel=MNIST) -> np.ndarray:
    return np.rint(pixel.fraction(inputs[0, 0]) * pixel.maximum)


def ink_box(pixels) -> tuple[slice, slice]:
    rows, columns = np.flatnonzero(pixels.any(axis=1)), np.flatnonzero(pixels.any(axis=0))
    return slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)


def distance_from_centre(pixels) -> list[float]:
    """The distance of the centre of mass from the pixel (H/2, W/2), in rows and in columns."""
    indices = np.indices(pixels.shape)
    return [abs((axis * pixels).sum() / pixels.sum() - len(pixels) / 2) for axis in indices]


margins = st.integers(1, 60)


@settings(max_examples=60)
@given(
    seed=st.integers(0, 2**32 - 1),
    factor=st.integers(1, 12),
    top=margins,
    left=margins,
    bottom=margins,
    right=margins,
    paper_and_ink=st.sampled_from([(255, 0), (0, 255), (200, 60), (90, 250), (100, 0)]),
)
def test_the_mnist_digit_does_not_depend_on_place_scale_contrast_or_inversion(
    tmp_path_factory, seed, factor, top, left, bottom, right, paper_and_ink
):
    bitmap = stroke(seed)
    paper, ink = paper_and_ink
    shown = picture(bitmap, factor, top, left, bottom, right, paper, ink)
    pixels = raw(read(tmp_path_factory.getbasetemp(), shown))

    assert np.array_equal(pixels[ink_box(pixels)], 255 * bitmap)
    assert max(distance_from_centre(pixels)) <= 0.5


@settings(max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), top=margins, left=margins, inverted=st.booleans())
def test_the_uci_digit_does_not_depend_on_place_or_inversion(tmp_path_factory, seed, top, left, inverted):
    bitmap, folder = stroke(seed), tmp_path_factory.getbasetemp()
    shown = picture(bitmap, top=top, left=left)

    plain = read(folder, picture(bitmap), (8, 8), UCI)
    assert np.array_equal(read(folder, 255 - shown if inverted else shown, (8, 8), UCI), plain)


@given(seed=st.integers(0, 2**32 - 1))
@settings(max_examples=30)
def test_noise_and_uneven_light_are_ignored(tmp_path_factory, seed):
    bitmap, folder = stroke(seed), tmp_path_factory.getbasetemp()
    shown = picture(bitmap, 6, paper=220, ink=40).astype(np.float64)
    rng = np.random.default_rng(seed)
    shaded = shown - np.linspace(0, 30, shown.shape[1]) + rng.uniform(-8, 8, shown.shape)

    pixels = raw(read(folder, shaded.astype(np.uint8)))
    assert np.array_equal(pixels[ink_box(pixels)], 255 * bitmap)


def test_specks_are_dropped_and_second_strokes_kept(tmp_path):
    bitmap = stroke(1)
    shown = picture(bitmap, factor=4, top=20, left=40)
    speckled = shown.copy()
    speckled[2:5, 2:5] = 0
    assert np.array_equal(read(tmp_path, speckled), read(tmp_path, shown))

    apart = shown.copy()
    apart[30:60, 4:12] = 0
    assert not np.array_equal(read(tmp_path, apart), read(tmp_path, shown))


def test_a_picture_of_uci_size_is_upright_full_height_and_30_percent_ink(tmp_path):
    leaning = np.zeros((200, 200), dtype=np.bool_)
    for row in range(20, 180):
        leaning[row, 130 - row // 2 : 145 - row // 2] = True
    counts = raw(read(tmp_path, np.where(leaning, 0, 255).astype(np.uint8), (8, 8), UCI), UCI)

    assert counts.shape == (8, 8)
    assert counts.min() == 0
    assert counts.max() == 16
    assert counts.any(axis=1).all()
    assert counts[:, [0, 7]].sum() == 0
    assert 300 <= counts.sum() <= 320  # 30 % of 1,024 points, in whole columns of 32
    centres = (counts * np.arange(8)).sum(axis=1) / counts.sum(axis=1)
    assert np.ptp(centres) < 1  # before, it was slanted by 80 points over 160 rows: 4 of 8 columns


@pytest.mark.parametrize(
    ("image_size", "pixel", "own"), [((4, 4), UCI, (8, 8)), ((14, 14), MNIST, (28, 28)), ((4, 7), MNIST, (28, 28))]
)
def test_smaller_sizes_are_averaged_like_the_data_set(tmp_path, image_size, pixel, own):
    shown = picture(stroke(2))
    small = read(tmp_path, shown, image_size, pixel)

    assert small.shape == (1, 1, *image_size)
    assert np.array_equal(small, average_pixels(read(tmp_path, shown, own, pixel), image_size))


def test_other_sizes_keep_the_proportion_of_mnist(tmp_path):
    pixels = raw(read(tmp_path, picture(stroke(3)), (42, 42)))

    rows, _ = ink_box(pixels)
    assert rows.stop - rows.start == 30
    assert max(distance_from_centre(pixels)) <= 1


def test_a_thin_horizontal_or_vertical_line(tmp_path):
    for bitmap in (np.ones((2, 20), np.bool_), np.ones((20, 2), np.bool_)):
        pixels = raw(read(tmp_path, picture(bitmap)))
        assert np.array_equal(pixels[ink_box(pixels)], 255 * bitmap)
        assert raw(read(tmp_path, picture(bitmap), (8, 8), UCI), UCI).max() == 16


def test_a_tight_crop_is_still_dark_on_light(tmp_path):
    bitmap = np.zeros((20, 12), np.bool_)
    bitmap[:2], bitmap[:, -2:] = True, True
    shown = picture(bitmap, 5, top=0, left=0, bottom=0, right=2)
    pixels = raw(read(tmp_path, shown))
    assert np.array_equal(pixels[ink_box(pixels)], 255 * bitmap)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "I", "I;16", "F"])
def test_every_mode_of_a_picture_reads_the_same(tmp_path, mode):
    shown = picture(stroke(4))
    if mode == "I;16":
        image = Image.fromarray(shown.astype(np.uint16) * 257)
    else:
        image = Image.fromarray(shown).convert(mode)
    path = tmp_path / "digit.tif"
    image.save(path)

    assert image.mode == mode
    assert np.array_equal(read_digit(path, (28, 28), MNIST).inputs, read(tmp_path, shown))


def test_transparency_becomes_white(tmp_path):
    shown = picture(stroke(5))
    black = np.zeros((*shown.shape, 4), np.uint8)
    black[..., 3] = 255 - shown
    palette = Image.fromarray(np.where(shown == 0, 1, 0).astype(np.uint8)).convert("P")
    palette.putpalette([0, 0, 0, 0, 0, 0])
    palette.save(tmp_path / "palette.png", transparency=0)

    assert np.array_equal(read(tmp_path, black), read(tmp_path, shown))
    assert np.array_equal(read_digit(tmp_path / "palette.png", (28, 28), MNIST).inputs, read(tmp_path, shown))


def test_the_rotation_of_the_camera_is_undone(tmp_path):
    shown = picture(stroke(6))
    turned = Image.fromarray(shown).transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees clockwise to see it upright
    turned.save(tmp_path / "turned.png", exif=exif)

    assert np.array_equal(read_digit(tmp_path / "turned.png", (28, 28), MNIST).inputs, read(tmp_path, shown))


def test_a_large_photo_as_jpeg(tmp_path):
    shown = picture(stroke(7), factor=80, top=400, left=300, bottom=300, right=500, paper=230, ink=30)
    Image.fromarray(shown).convert("RGB").save(tmp_path / "photo.jpg")
    pixels = raw(read_digit(tmp_path / "photo.jpg", (28, 28), MNIST).inputs)

    rows, columns = ink_box(pixels)
    assert max(rows.stop - rows.start, columns.stop - columns.start) == 20
    assert max(distance_from_centre(pixels)) <= 1


def message_of(path) -> str:
    with pytest.raises(UserError) as error:
        read_digit(path, (28, 28), MNIST)
    assert "\n" not in str(error.value)
    assert str(path) in str(error.value)
    return str(error.value)


def test_any_other_file_is_rejected_with_one_line(tmp_path):
    assert "No such file" in message_of(tmp_path / "absent.png")
    assert "Is a directory" in message_of(tmp_path)

    text = tmp_path / "text.png"
    text.write_text("seven")
    assert "is not an image that can be read, but a text file: a PNG" in message_of(text)

    cut = tmp_path / "cut.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64), dtype=np.uint8)).save(cut)
    cut.write_bytes(cut.read_bytes()[:-500])
    assert "the image is damaged" in message_of(cut)


@pytest.mark.parametrize("grey", [0, 128, 255])
def test_a_blank_picture_has_no_digit(tmp_path, grey):
    path = tmp_path / "blank.png"
    noise = np.random.default_rng(0).integers(-4, 5, (80, 60))
    for blank in (np.full((80, 60), grey), (grey + noise).clip(0, 255)):
        Image.fromarray(blank.astype(np.uint8)).save(path)
        assert "no digit found: the image is blank" in message_of(path)


@pytest.mark.parametrize(
    ("size", "reason"), [((12_000, 9_000), "12000x9000 pixels"), ((20_000, 20_000), "its pixels")]
)
def test_a_huge_picture_is_rejected_before_it_is_decoded(tmp_path, size, reason):
    path = tmp_path / "bomb.png"
    Image.new("RGB" if size[0] < 20_000 else "1", size).save(path, compress_level=1)
    assert reason in message_of(path)


@pytest.mark.parametrize(
    ("name", "settings", "reason"),
    [
        ("coefficients.jpg", {"progressive": True}, "6000x6000 pixels of JPEG (RGB) need 216 MB of memory"),
        ("tiles.jp2", {}, "6000x6000 pixels of JPEG2000 (RGB) need 720 MB of memory"),
    ],
)
def test_the_memory_of_the_decoder_counts(tmp_path, name, settings, reason):
    Image.new("RGB", (6000, 6000)).save(tmp_path / name, **settings)
    assert reason in message_of(tmp_path / name)


def test_a_picture_that_is_slow_to_decode_is_rejected(tmp_path):
    (tmp_path / "text.ppm").write_bytes(b"P3 2001 2000 255 " + b"0 " * 100)
    assert "takes too long to read: 4002000 pixels" in message_of(tmp_path / "text.ppm")
    scan = tmp_path / "scans.jpg"
    Image.new("RGB", (64, 64)).save(scan, progressive=True)
    scan.write_bytes(scan.read_bytes() + b"\xff\xda" * 100)
    assert "a progressive JPEG of 110 scans" in message_of(scan)


def test_a_tiff_whose_offset_is_a_fraction_is_damaged(tmp_path):
    """Found by fuzz."""
    file = tmp_path / "fraction.tif"
    Image.new("L", (24, 24)).save(file)
    long, rational = (struct.pack("<HHI", 273, kind, 1) for kind in (4, 5))  # StripOffsets: type, count
    assert file.read_bytes().count(long) == 1
    file.write_bytes(file.read_bytes().replace(long, rational))
    assert "the image is damaged" in message_of(file)


def test_no_other_program_is_started_to_read_a_picture(tmp_path):
    """Pillow would start Ghostscript."""
    Image.fromarray(picture(stroke(1))).save(tmp_path / "postscript.png", format="EPS")
    assert "is not an image that can be read" in message_of(tmp_path / "postscript.png")


def test_real_mnist_digits_survive_enlargement_and_inversion(tmp_path):
    from numpy_cnn.common.data import mnist

    _, test = mnist.read(mnist.find(real_mnist_dir()))
    rng = np.random.default_rng(0)
    for digit in test.images[:40]:
        large = Image.fromarray(digit).resize((280, 280), Image.Resampling.BICUBIC)
        sheet = Image.new("L", (430, 390))
        sheet.paste(large, tuple(int(at) for at in rng.integers(0, 110, 2)))
        pixels = raw(read(tmp_path, 255 - np.asarray(sheet)))

        rows, columns = ink_box(pixels)
        assert max(rows.stop - rows.start, columns.stop - columns.start) == 20
        assert max(distance_from_centre(pixels)) <= 1
        # The same digit in the same place: the overlap is largest for a shift of at most one pixel.
        steps = range(-3, 4)
        shared = {(i, j): (pixels * np.roll(digit, (i, j), (0, 1))).sum() for i in steps for j in steps}
        assert max(map(abs, max(shared, key=shared.get))) <= 1


def notes_of(tmp_path, array) -> str:
    path = tmp_path / "digit.png"
    Image.fromarray(array).save(path)
    return " ".join(read_digit(path, (28, 28), MNIST).notes)


def test_thin_strokes_are_thickened_before_they_fade(tmp_path):
    bitmap = stroke(8).repeat(16, axis=0).repeat(16, axis=1)
    edges = bitmap & ~(
        np.roll(bitmap, 2, axis=0)
        & np.roll(bitmap, -2, axis=0)
        & np.roll(bitmap, 2, axis=1)
        & np.roll(bitmap, -2, axis=1)
    )  # an outline of 2 points in a digit of 320
    pixels = raw(read(tmp_path, picture(edges, factor=1, top=40, left=40, bottom=40, right=40)))
    assert pixels.max() > 230


@pytest.mark.parametrize("frame", [3, 12, 30])
def test_a_frame_around_the_page_is_not_ink(tmp_path, frame):
    shown = picture(stroke(9), factor=6, top=50, left=50, bottom=50, right=50)
    framed = shown.copy()
    framed[:frame] = framed[-frame:] = 0
    framed[:, :frame] = framed[:, -frame:] = 0
    assert np.array_equal(read(tmp_path, framed), read(tmp_path, shown))
    assert notes_of(tmp_path, framed) == ""


@pytest.mark.parametrize(("frame", "page", "ink"), [(0, 255, 0), (255, 20, 230), (100, 240, 20)])
def test_a_frame_wider_than_the_margin_of_the_page_is_not_ink(tmp_path, frame, page, ink):
    shown = picture(stroke(9), factor=6, top=20, left=20, bottom=20, right=20, paper=page, ink=ink)
    framed = np.pad(shown, 40, constant_values=frame)
    assert np.array_equal(read(tmp_path, framed), read(tmp_path, shown))
    assert notes_of(tmp_path, framed) == ""


def test_a_bold_digit_is_not_the_frame_of_its_hole(tmp_path):
    box = np.pad(np.zeros((14, 8), np.bool_), 3, constant_values=True)  # a zero as a box of bold lines
    inputs = raw(read(tmp_path, picture(box)))
    (top, bottom), (left, right) = ((part.start, part.stop) for part in ink_box(inputs))
    assert inputs[(top + bottom) // 2, (left + right) // 2] == 0
    assert inputs[top + 2, (left + right) // 2] == 255


def test_a_page_on_a_dark_table_is_not_ink(tmp_path):
    page = picture(stroke(10), factor=6, top=50, left=60, bottom=50, right=60)
    table = np.pad(page, ((30, 90), (120, 10)), constant_values=60)
    assert np.array_equal(read(tmp_path, table), read(tmp_path, page))


def test_the_edge_of_a_shadow_is_not_ink(tmp_path):
    page = picture(stroke(11), factor=6, top=50, left=60, bottom=50, right=60, paper=240, ink=0)
    shadow = page.copy()
    shadow[: len(page) // 2] //= 2
    assert np.array_equal(read(tmp_path, shadow), read(tmp_path, page))


def test_ink_and_paper_of_the_same_grey_differ_in_colour(tmp_path):
    shown = picture(stroke(12))
    red, green = np.array([205, 60, 60]), np.array([60, 125, 87])
    grey = np.array([0.299, 0.587, 0.114])
    assert abs(red @ grey - green @ grey) < 5
    coloured = np.where(shown[..., None] == 0, red, green).astype(np.uint8)
    assert np.array_equal(read(tmp_path, coloured), read(tmp_path, shown))


def test_white_ink_on_a_transparent_background(tmp_path):
    shown = picture(stroke(13))
    white = np.full((*shown.shape, 4), 255, np.uint8)
    white[..., 3] = 255 - shown
    assert np.array_equal(read(tmp_path, white), read(tmp_path, shown))


@pytest.mark.parametrize("noise", [0, 10, 120, 900])
def test_blank_paper_of_16_bits_has_no_digit(tmp_path, noise):
    grey = 52_000 + np.random.default_rng(0).integers(-noise, noise + 1, (80, 60))
    path = tmp_path / "blank.png"
    Image.fromarray(grey.astype(np.uint16)).save(path)
    assert "no digit found" in message_of(path)


def test_two_digits_are_reported(tmp_path):
    first, second = picture(stroke(14), right=2), picture(stroke(15))
    assert "2 figures" in notes_of(tmp_path, np.concatenate([first, second], axis=1))
    lower = np.concatenate([np.full_like(second, 255), second])
    higher = np.concatenate([first, np.full_like(first, 255)])
    assert "2 figures" in notes_of(tmp_path, np.concatenate([higher, lower], axis=1))
    large = picture(stroke(14), factor=10)
    small = np.pad(second, ((len(large) - len(second), 0), (0, 0)), constant_values=255)
    assert "2 figures" in notes_of(tmp_path, np.concatenate([large, small], axis=1))
    assert notes_of(tmp_path, first) == ""


def test_two_light_digits_on_dark_paper_are_not_the_frame_of_their_gap(tmp_path):
    """The dark gap between two figures that are open to each other has a larger area than either of them."""
    pair = Image.new("L", (500, 400), 15)
    for left in (60, 280):
        for top in (80, 190):
            ImageDraw.Draw(pair).arc((left, top, left + 120, top + 130), -130, 130, fill=235, width=24)
    assert "2 figures" in notes_of(tmp_path, np.asarray(pair))


def test_missing_points_of_a_float_picture_are_paper(tmp_path):
    path = tmp_path / "digit.tiff"
    grey = picture(stroke(3)).astype(np.float32) / 255
    Image.fromarray(grey).save(path)
    whole = read_digit(path, (28, 28), MNIST).inputs
    grey[0, 0], grey[1, -1], grey[-1, -1] = np.inf, -np.inf, np.nan
    Image.fromarray(grey).save(path)
    assert np.array_equal(read_digit(path, (28, 28), MNIST).inputs, whole)
    Image.fromarray(np.full((30, 30), np.nan, np.float32)).save(path)
    assert "no digit found" in message_of(path)


def test_ink_at_the_edge_and_scattered_ink_give_a_warning(tmp_path):
    assert "touches the edge" in notes_of(tmp_path, picture(stroke(16), bottom=0))
    dots = np.where(np.indices((200, 200)).sum(axis=0) % 40 < 8, 0, 255)
    dots = np.where(np.abs(np.subtract(*np.indices((200, 200)))) % 40 < 8, dots, 255)
    assert "may not be a digit" in notes_of(tmp_path, np.pad(dots, 20, constant_values=255).astype(np.uint8))


def test_a_size_that_does_not_divide_mnist_s_is_accepted(tmp_path):
    pixels = raw(read(tmp_path, picture(stroke(17)), (32, 32)))
    assert pixels.shape == (32, 32)
    assert np.array_equal(pixels[ink_box(pixels)].shape[0], 23)


@pytest.mark.parametrize("mode", ["L", "P", "I;16", "F"])
def test_a_large_picture_needs_little_memory(tmp_path, mode):
    """NumPy's peak memory shows that the picture is converted to floats in strips."""
    import tracemalloc

    shown = picture(stroke(18), factor=90, top=300, left=300, bottom=300, right=300)
    image = (
        Image.fromarray(shown.astype(np.uint16) * 257) if mode == "I;16" else Image.fromarray(shown).convert(mode)
    )
    path = tmp_path / "large.tif"
    image.save(path)
    tracemalloc.start()
    pixels = raw(read_digit(path, (28, 28), MNIST).inputs)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100_000_000
    assert max(side.stop - side.start for side in ink_box(pixels)) == 20


def test_an_answer_that_changes_after_a_small_shift_gives_a_warning():
    inputs = np.zeros((1, 1, 28, 28), np.float32)
    inputs[0, 0, 10, 10] = 1
    near = with_neighbours(inputs)
    assert sorted(tuple(map(int, np.argwhere(one[0])[0])) for one in near) == [
        (9, 10), (10, 9), (10, 10), (10, 11), (11, 10),
    ]  # fmt: skip
    sure = np.eye(10)[[7, 7, 7, 7, 7]]
    assert doubts(sure, ()) == []
    assert doubts(sure, ("faint",)) == ["faint"]
    assert doubts(np.eye(10)[[7, 7, 1, 7, 7]], ()) == [
        "it may also be 1, which the network predicts after a shift by one pixel"
    ]
    assert doubts(0.5 * sure + 0.05, ()) != []
