"""Padding: rows and columns added around an array, or cropped from it."""

from collections.abc import Callable, Sequence

import numpy as np

from numpy_cnn.arguments import Array, Pullback, check_floats, cotangent, real

__all__ = ["pad"]

# The index of the input that each position of the padded axis copies. Position 0 is the first of `size` inputs.
SOURCES: dict[str, Callable[[Array, int], Array]] = {
    "reflect": lambda position, size: (size - 1) - np.abs((size - 1) - np.abs(position)),
    "replicate": lambda position, size: np.clip(position, 0, size - 1),
}


def pad(
    input: Array, pad: Sequence[int], mode: str = "constant", value: float | None = None
) -> tuple[Array, Pullback]:
    """Extend or crop the last axes, as `torch.nn.functional.pad`.

        y[…, p] = x[…, s(p − left)]        dx[…, h] = Σ dy[…, p] over the p with s(p − left) = h

        constant:  s(i) = i inside the axis, and y = value outside
        reflect:   s(i) = |i|, and 2·(size − 1) − i beyond the end: the border itself is not repeated
        replicate: s(i) = min(max(i, 0), size − 1)
        circular:  s(i) = i mod size, after negative widths have cropped the axis

    Args:
        input: x; modes other than "constant" need one or two more axes than are padded.
        pad: (left, right) of the last axis, then of the one before, and so on; negative numbers crop.
        mode: "constant", "reflect", "replicate" or "circular".
        value: the constant of mode "constant"; None for 0.

    Returns:
        y, longer by left + right along each axis, and the pullback dy → (dx,).

    Raises:
        ValueError: shapes, dtype or options are invalid; a width of "reflect" is not below the axis' length, one
            of "circular" is above it, or cropping removes more than the whole axis.

    Source: the convention of torch.nn.functional.pad.
    """
    check_floats("pad", input=input)
    if not isinstance(pad, Sequence) or isinstance(pad, str):
        raise ValueError(f"pad: pad must be pairs of ints, got {pad!r}")
    x, widths = input, tuple(pad)
    pairs = _pairs(x, widths, mode, value)
    if mode == "constant":
        return _constant(x, pairs, 0.0 if value is None else real("pad", "value", value))
    sources = {}
    for axis, (left, right) in pairs.items():
        size = x.shape[axis]
        if mode == "circular":  # torch crops first, and wraps around what is left
            first, kept = max(-left, 0), size + min(left, 0) + min(right, 0)
            sources[axis] = first + np.arange(-max(left, 0), kept + max(right, 0)) % max(kept, 1)
        else:
            sources[axis] = SOURCES[mode](np.arange(-left, size + right), size)
    y = x
    for axis, source in sources.items():
        y = y.take(source, axis)
    y = y.copy() if y is x else y

    def pullback(dy: Array) -> tuple[Array]:
        u = cotangent("pad", dy, y)
        for axis, source in sources.items():
            around = (slice(None),) * axis
            dx = np.zeros((*u.shape[:axis], x.shape[axis], *u.shape[axis + 1 :]), dtype=u.dtype)
            first, last = pairs[axis]
            inside = slice(max(first, 0), len(source) - max(last, 0))
            dx[(*around, slice(max(-first, 0), max(-first, 0) + len(source[inside])))] = u[(*around, inside)]
            for position in [*range(inside.start), *range(inside.stop, len(source))]:
                dx[(*around, source[position])] += u[(*around, position)]
            u = dx
        return (u,)

    return y, pullback


def _constant(x: Array, pairs: dict[int, tuple[int, int]], value: float) -> tuple[Array, Pullback]:
    into, of = [slice(None)] * x.ndim, [slice(None)] * x.ndim
    shape = list(x.shape)
    for axis, (left, right) in pairs.items():
        shape[axis] += left + right
        kept = x.shape[axis] + min(left, 0) + min(right, 0)
        into[axis] = slice(max(left, 0), max(left, 0) + kept)
        of[axis] = slice(max(-left, 0), max(-left, 0) + kept)
    y = np.full(shape, value, dtype=x.dtype)
    y[tuple(into)] = x[tuple(of)]

    def pullback(dy: Array) -> tuple[Array]:
        dx = np.zeros(x.shape, dtype=x.dtype)
        dx[tuple(of)] = cotangent("pad", dy, y)[tuple(into)]
        return (dx,)

    return y, pullback


def _pairs(x: Array, widths: tuple[int, ...], mode: str, value: float | None) -> dict[int, tuple[int, int]]:
    """{axis: (left, right)}, after checking all arguments."""
    if mode not in ("constant", "circular", *SOURCES):
        raise ValueError(f"pad: mode must be 'constant', 'reflect', 'replicate' or 'circular', got {mode!r}")
    if len(widths) % 2 or not all(isinstance(w, (int, np.integer)) and not isinstance(w, bool) for w in widths):
        raise ValueError(f"pad: pad must be pairs of ints, got {widths!r}")
    axes = len(widths) // 2
    if axes > x.ndim:
        raise ValueError(f"pad: got {axes} pairs of widths for the {x.ndim} axes of {x.shape}")
    if mode != "constant" and (axes not in (1, 2, 3) or x.ndim not in (axes + 1, axes + 2)):
        raise ValueError(
            f"pad: mode {mode!r} pads the last 1 to 3 axes and needs 1 or 2 more, got {axes} for {x.shape}"
        )
    if mode != "constant" and value:
        raise ValueError(f"pad: mode {mode!r} takes no value, got {value}")
    pairs = {x.ndim - 1 - i: (int(widths[2 * i]), int(widths[2 * i + 1])) for i in range(axes)}
    for axis, (left, right) in pairs.items():
        size = x.shape[axis]
        if mode in SOURCES and min(x.shape[x.ndim - 1 - axes :]) < 1:
            raise ValueError(f"pad: mode {mode!r} needs channels and pixels, got {x.shape}")
        kept = size + min(left, 0) + min(right, 0)
        if kept < 0:
            raise ValueError(f"pad: {(left, right)} leaves {kept} of the {size} along axis {axis} of {x.shape}")
        most = {"reflect": size - 1, "circular": kept}.get(mode)
        if most is not None and max(left, right) > most:
            raise ValueError(
                f"pad: mode {mode!r} adds at most {most} to axis {axis} of {x.shape}, got {(left, right)}"
            )
    return pairs
