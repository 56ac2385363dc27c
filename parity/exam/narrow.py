"""Indices and counts stored in too few bits."""

from functools import partial
from typing import Any

import numpy as np

from numpy_cnn.arguments import Array
from parity.exam.bug import plant
from parity.exam.call import Call, Called
from parity.exam.changes import array, instead, only, result
from parity.exam.pooling import part
from parity.exam.windows import pair


def _by_flat_index(
    x: Array, w: Array, b: Array | None = None, *, kind: Any, stride: Any, padding: Any, dilation: Any, groups: int
) -> Called:
    """A convolution that reads each pixel by its index in the padded planes of a group."""
    kernel, (down, right), (far_down, far_right) = w.shape[2:], pair(stride), pair(dilation)
    spans = tuple(d * (k - 1) + 1 for d, k in zip((far_down, far_right), kernel, strict=True))
    around = [((s - 1) // 2, s // 2) for s in spans]
    if padding != "same":
        around = [(p, p) for p in pair(0 if padding == "valid" else padding)]
    padded = np.pad(x, ((0, 0), (0, 0), *around))
    planes = w.shape[1], *padded.shape[2:]
    places = np.arange(np.prod(planes)).reshape(planes)
    under = np.lib.stride_tricks.sliding_window_view(places, spans, axis=(1, 2))
    under = under[:, ::down, ::right, ::far_down, ::far_right].astype(kind)
    under = under if np.dtype(kind).kind == "i" else under.astype(np.int64)
    images = padded.reshape(len(x), groups, -1)
    kernels = w.reshape(groups, -1, *w.shape[1:])
    taps = images[:, :, under]  # (N, G, C/G, oh, ow, kh, kw)
    y = np.einsum("ngcpqij,gocij->ngopq", taps, kernels).reshape(len(x), len(w), *under.shape[1:3])

    def pullback(dy: Array) -> tuple[Array | None, ...]:
        split = dy.reshape(len(x), groups, -1, *dy.shape[2:])
        dw = np.einsum("ngopq,ngcpqij->gocij", split, taps).reshape(w.shape)
        parts, found = np.einsum("ngopq,gocij->ngcpqij", split, kernels), np.zeros_like(images)
        for n, g in np.ndindex(images.shape[:2]):
            np.add.at(found[n, g], under, parts[n, g])
        rows, columns = (
            slice(before, before + size) for (before, _), size in zip(around, x.shape[2:], strict=True)
        )
        return found.reshape(padded.shape)[:, :, rows, columns], dw, None if b is None else dy.sum(axis=(0, 2, 3))

    return (y if b is None else y + b[:, None, None]), pullback


def _in_a_byte(kind: Any) -> Any:
    def edit(target: Array, c: Call) -> Array:
        if target.dtype.kind != "i":
            return target
        counts = target != c.options.get("ignore_index", -100)
        return np.where(counts, target.astype(kind).astype(np.int64) % c.x.shape[min(1, c.x.ndim - 1)], target)

    return edit


def _without_taps(first: int) -> Any:
    def edit(w: Array, _: Call) -> Array:
        flat = w.reshape(len(w), -1)
        return np.where(np.arange(flat.shape[1]) < first, flat, 0).reshape(w.shape).astype(w.dtype)

    return edit


def _mean_by_a_byte(a: Array, c: Call) -> Array:
    return np.asarray(a * a.dtype.type(c.x.size) / a.dtype.type(c.x.size % 256 or 1))


# fmt: off
for _kind, _bits in ((np.int8, "signed-byte"), (np.uint8, "byte"), (np.int16, "signed-word")):
    plant("conv2d", f"conv-pixels-in-a-{_bits}", "pixel-index-overflows",
          instead(partial(_by_flat_index, kind=_kind)),
          description="The flat index of a pixel in the padded planes is stored in too few bits.")
for _kind, _bits in ((np.int8, "signed-byte"), (np.uint8, "byte")):
    plant("max_pool2d", f"pool-winner-in-a-{_bits}", "winner-index-overflows",
          part(select=lambda p, kind=_kind: p.argmax(axis=2).astype(kind).astype(np.int64)), "dx",
          "The winner's index in its window is stored in too few bits.")
    plant("nll_loss", f"nll-target-in-a-{_bits}", "target-overflows", array("w", _in_a_byte(_kind)),
          description="The target is stored in too few bits.")
    plant("cross_entropy", f"ce-target-in-a-{_bits}", "target-overflows", array("w", _in_a_byte(_kind)),
          description="The target is stored in too few bits.")
for _first in (127, 255):
    plant("conv2d", f"conv-taps-beyond-{_first}", "taps-lost", array("w", _without_taps(_first)), "y",
          first=_first)
plant("mse_loss", "mse-count-in-a-byte", "count-overflows",
      only(lambda c: c.options["reduction"] == "mean" and c.x.size > 255, result(_mean_by_a_byte)),
      description="The number of entries is counted in a byte.")
# fmt: on
