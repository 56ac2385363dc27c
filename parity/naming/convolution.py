"""Mistakes in a convolution: the kernel, an option, a tap, a group, the scatter to the image.

torch cannot compute a gradient that is inconsistent with the output, so gradients are sums over taps here.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from parity.cases.op import Array
from parity.naming.explanation import EditInputs, EditResult, Explanation, mistake, scaled
from parity.naming.general import argument, kept, result_only, upstream
from parity.naming.narrow import PIXELS
from parity.naming.probe import NotApplicable, Probe
from parity.naming.windows import (
    OPTION_EDITS,
    Alter,
    Canvas,
    Geometry,
    altered,
    covered,
    cropped_at_minus_zero,
    pair,
)

Edit = Callable[[Array], Array]
Order = Callable[[int, int], Array]  # (size, groups) → indices


def input_gradient(probe: Probe, geometry: Geometry, overwrite: bool = False) -> Array:
    """dx[n,c] += w[o,c,i,j]·dy[n,o] at the pixels of each tap; with `overwrite`, = instead of +=."""
    x, w, groups = probe.first, probe.array("weight"), probe.options["groups"]
    dy = probe.dy.reshape(len(x), groups, -1, *probe.dy.shape[2:])
    kernels = w.reshape(groups, -1, *w.shape[1:])
    canvas = Canvas(x.shape, geometry, dy.shape[3:])
    for i, j in geometry.taps():
        part = np.einsum("ngopq,goc->ngcpq", dy, kernels[..., i, j]).reshape(len(x), x.shape[1], *dy.shape[3:])
        place = canvas.place(i, j)
        canvas.array[place] = part if overwrite else canvas.array[place] + part
    return canvas.image


def overwritten_by_windows(probe: Probe, last_kernel: bool = False) -> Array:
    """dx window by window: where windows overlap only the last one counts, with all kernels or with the last."""
    x, w, groups = probe.first, probe.array("weight"), probe.options["groups"]
    dy = probe.dy.reshape(len(x), groups, -1, *probe.dy.shape[2:])
    kernels = w.reshape(groups, -1, *w.shape[1:])
    if last_kernel:
        dy, kernels = dy[:, :, -1:], kernels[:, -1:]
    canvas = Canvas(x.shape, Geometry.of(probe), dy.shape[3:])
    for p, q in product(range(dy.shape[3]), range(dy.shape[4])):
        part = np.einsum("ngo,gocij->ngcij", dy[..., p, q], kernels)
        canvas.array[canvas.window(p, q)] = part.reshape(len(x), x.shape[1], *w.shape[2:])
    return canvas.image


def weight_gradient(probe: Probe, geometry: Geometry) -> Array:
    """dw[o,c,i,j] = Σ dy[n,o,p,q]·x[n,c, pixels of the tap]."""
    x, w, groups = probe.first, probe.array("weight"), probe.options["groups"]
    dy = probe.dy.reshape(len(x), groups, -1, *probe.dy.shape[2:])
    canvas = Canvas(x.shape, geometry, dy.shape[3:])
    canvas.image[...] = x
    dw = np.zeros_like(w)
    for i, j in geometry.taps():
        pixels = canvas.array[canvas.place(i, j)].reshape(len(x), groups, -1, *dy.shape[3:])
        dw[..., i, j] = np.einsum("ngopq,ngcpq->goc", dy, pixels).reshape(w.shape[:2])
    return dw


def _gradient(probe: Probe, geometry: Geometry) -> Array:
    if probe.quantity == "grad_input":
        return input_gradient(probe, geometry)
    if probe.quantity == "grad_weight":
        return weight_gradient(probe, geometry)
    raise NotApplicable("the geometry has no part in it")


def _options() -> Iterator[Explanation]:
    for name, option, edit in OPTION_EDITS:
        if option == "kernel":
            continue

        def alter(g: Geometry, option: str = option, edit: Any = edit) -> Geometry:
            return replace(g, **{option: edit(getattr(g, option))})

        def inputs(probe: Probe, option: str = option, alter: Alter = alter) -> Probe:
            if isinstance(probe.options[option], str):  # "same" and "valid" have no height and width
                return probe
            return probe.with_options(**{option: getattr(alter(Geometry.of(probe)), option)})

        yield mistake(name, "output", inputs)
        yield mistake(name, "grad_", formula=altered(alter, _gradient))


def _kernel(name: str, edit: Edit, back: Edit | None = None) -> Explanation:
    """Edit the weight, and undo the edit in its gradient."""
    undo = edit if back is None else back
    return mistake(
        name,
        inputs=argument("weight", edit),
        result=lambda r, probe: undo(r) if probe.quantity == "grad_weight" else r,
    )


def _without(*part: Any) -> Edit:
    def edit(w: Array) -> Array:
        w = w.copy()
        w[part] = 0
        return w

    return edit


def _reordered(array: str, axis: int, order: Order) -> dict[str, Any]:
    """Reorder an array's channels or kernels; its gradient is accumulated in that order."""

    def indices(probe: Probe) -> Array:
        return order(probe.array(array).shape[axis], probe.options["groups"])

    def inputs(probe: Probe) -> Probe:
        taken = np.take(probe.array(array), indices(probe), axis)
        return probe.with_arrays(**{array: np.ascontiguousarray(taken)})

    def result(r: Array, probe: Probe) -> Array:
        if probe.quantity != f"grad_{array}":
            return r
        found = np.zeros_like(r)
        np.add.at(found.swapaxes(0, axis), indices(probe), r.swapaxes(0, axis))
        return found

    return {"inputs": inputs, "result": result}


def interleaved(size: int, groups: int) -> Array:
    """Member m of group g is at m·G + g."""
    return np.arange(size).reshape(-1, groups).T.ravel()


ORDERS: tuple[tuple[str, Order], ...] = (
    ("groups-interleaved", interleaved),
    ("first-group-only", lambda size, groups: np.tile(np.arange(size // groups), groups)),
    ("last-group-only", lambda size, groups: np.tile(np.arange(size - size // groups, size), groups)),
    ("groups-reversed", lambda size, groups: np.arange(size).reshape(groups, -1)[::-1].ravel()),
)


def _order(probe: Probe) -> Array:
    return interleaved(len(probe.array("weight")), probe.options["groups"])


def _kernels_in_other_groups(probe: Probe) -> Probe:
    w, bias, order = probe.array("weight"), probe.arrays.get("bias"), _order(probe)
    probe = probe.with_arrays(weight=np.ascontiguousarray(w[order]), bias=None if bias is None else bias[order])
    return probe if probe.is_output else probe.with_upstream(probe.dy[:, order])


def _in_turns(kernels: bool) -> tuple[EditInputs, EditResult]:
    """Groups of every G-th channel and output channel; their kernels are every G-th too, or neighbours."""

    def orders(probe: Probe) -> tuple[Array, Array, Array]:
        w, groups = probe.array("weight"), probe.options["groups"]
        outputs = interleaved(len(w), groups)
        return interleaved(probe.first.shape[1], groups), outputs if kernels else np.arange(len(w)), outputs

    def inputs(probe: Probe) -> Probe:
        channels, order, outputs = orders(probe)
        bias = probe.arrays.get("bias")
        return probe.with_arrays(
            input=np.ascontiguousarray(probe.first[:, channels]),
            weight=np.ascontiguousarray(probe.array("weight")[order]),
            bias=None if bias is None else bias[outputs],
        ).with_upstream(np.ascontiguousarray(probe.dy[:, outputs]))

    def result(r: Array, probe: Probe) -> Array:
        channels, order, outputs = map(np.argsort, orders(probe))
        if probe.quantity == "grad_weight":
            return r[order]
        if probe.quantity == "grad_bias":
            return r[outputs]
        return r[:, outputs if probe.is_output else channels]

    return inputs, result


def _outputs_back(r: Array, probe: Probe) -> Array:
    back = np.argsort(_order(probe))
    return r[:, back] if probe.is_output else r if probe.quantity == "grad_input" else r[back]


def _summed_over_groups(r: Array, probe: Probe) -> Array:
    each = r.reshape(probe.options["groups"], -1, *r.shape[1:])
    return np.broadcast_to(each.sum(axis=0), each.shape).reshape(r.shape)


def _misread(probe: Probe) -> Probe:
    """Read the kernels of a group, (outputs, channels), as (channels, outputs) without transposing."""
    w, groups = probe.array("weight"), probe.options["groups"]
    misread = w.reshape(groups, w.shape[1], len(w) // groups, *w.shape[2:]).swapaxes(1, 2).reshape(w.shape)
    return probe.with_arrays(weight=np.ascontiguousarray(misread))


def _column_major(w: Array) -> Array:
    return w.reshape(*w.shape[:2], *w.shape[:1:-1]).swapaxes(2, 3)


def _row_major(w: Array) -> Array:
    return w.swapaxes(2, 3).reshape(w.shape)


# im2col yields one matrix (O, columns): its columns are written in one order and read in another.
COLUMNS: tuple[tuple[str, Edit], ...] = (
    ("ordered by sample", lambda y: y.transpose(1, 0, 2, 3).reshape(_shape(y, 1, 2, 3, 0)).transpose(3, 0, 1, 2)),
    ("ordered by position", lambda y: y.transpose(1, 2, 3, 0).reshape(_shape(y, 1, 0, 2, 3)).swapaxes(0, 1)),
    ("with the outputs in front", lambda y: y.transpose(1, 0, 2, 3).reshape(y.shape)),
    ("with the outputs behind", lambda y: y.transpose(0, 2, 3, 1).reshape(y.shape)),
)


def _shape(y: Array, *axes: int) -> tuple[int, ...]:
    return tuple(y.shape[axis] for axis in axes)


def _columns() -> Iterator[Explanation]:
    for order, edit in COLUMNS:
        yield mistake("columns-misordered", "output", result=result_only(edit), order=order)
        yield mistake("columns-misordered", "grad_", upstream(edit), order=order)


def _repadded(mode: str) -> Callable[[Probe], Probe]:
    """Pad the image beforehand with other values than zeros."""

    def inputs(probe: Probe) -> Probe:
        if not probe.is_output and probe.quantity != "grad_weight":
            raise NotApplicable("the gradient of the padding would have to be added up")
        constant = {"constant_values": 1} if mode == "constant" else {}
        padded = np.pad(probe.first, Geometry.of(probe).frame, mode=mode, **constant)  # type: ignore[call-overload]  # mode is one of np.pad's
        return probe.with_arrays(input=padded).with_options(padding=0)

    return inputs


def _same_in_front(probe: Probe) -> Probe:
    g = Geometry.of(probe)
    around = (0, 0), (0, 0), (g.behind[0], g.padding[0]), (g.behind[1], g.padding[1])
    return probe.with_arrays(input=np.pad(probe.first, around)).with_options(padding=0)


def _of_padded_image(probe: Probe) -> Array:
    g = Geometry.of(probe)
    if g.padding == g.behind == (0, 0):
        return probe.reference()
    wide = probe.with_arrays(input=np.pad(probe.first, g.frame))
    return input_gradient(wide, replace(g, padding=(0, 0)))


def _of_one_window(sample: int | slice, place: int) -> EditInputs:
    """Keep the cotangent at one position, of one sample or of all, with 0 elsewhere."""
    return upstream(kept(sample, slice(None), place, place))


def _remainder_in_front(r: Array, probe: Probe) -> Array:
    g = Geometry.of(probe)
    unmet = [
        max(0, size - g.end(axis, n))
        for axis, (size, n) in enumerate(zip(r.shape[2:], probe.dy.shape[2:], strict=True))
    ]
    return np.roll(r, unmet, (2, 3))  # fmt: skip


def _same_without_dilation(probe: Probe) -> Probe:
    if probe.options["padding"] != "same":
        return probe
    return probe.with_options(padding=tuple(size // 2 for size in probe.array("weight").shape[2:]))


def _exchanged(g: Geometry) -> Geometry:
    return replace(g, stride=g.dilation, dilation=g.stride)


CONVOLUTION = (
    _kernel("kernel-flipped", lambda w: w[..., ::-1, ::-1]),
    _kernel("kernel-flipped-height", lambda w: w[..., ::-1, :]),
    _kernel("kernel-flipped-width", lambda w: w[..., ::-1]),
    _kernel("kernel-transposed", lambda w: w.swapaxes(-1, -2)),
    _kernel("kernels-transposed", lambda w: w.swapaxes(0, 1)),
    _kernel("taps-column-major", _column_major, _row_major),
    _kernel("taps-row-major", _row_major, _column_major),
    mistake("kernels-misread", "grad_input", _misread),
    *_options(),
    mistake("padding-ignored", "output", lambda probe: probe.with_options(padding=0)),  # including 'same'
    mistake("same-without-dilation", "output", _same_without_dilation),
    mistake("stride-dilation-exchanged", "grad_", formula=altered(_exchanged, _gradient)),
    mistake("same-pads-in-front", "output", _same_in_front),
    mistake("same-pads-in-front", "grad_", formula=altered(lambda g: replace(g, padding=g.behind), _gradient)),
    mistake("kernels-in-other-groups", "", _kernels_in_other_groups, _outputs_back),
    mistake("groups-by-remainder", "", *_in_turns(kernels=True)),
    mistake("groups-in-turns", "", *_in_turns(kernels=False)),
    mistake("summed-over-groups", "grad_weight", result=_summed_over_groups),
    mistake("outputs-interleaved", "output", result=lambda r, probe: r[:, _order(probe)]),
    mistake("outputs-deinterleaved", "output", result=lambda r, probe: r[:, np.argsort(_order(probe))]),
    *(mistake(n, "", **_reordered("input", 1, order), what="channel") for n, order in ORDERS),
    *(mistake(n, "", **_reordered("weight", 0, order), what="kernel") for n, order in ORDERS),
    *_columns(),
    mistake(
        "overlap-overwritten", "grad_input", formula=lambda p: input_gradient(p, Geometry.of(p), overwrite=True)
    ),
    mistake("windows-overwritten", "grad_input", formula=overwritten_by_windows),
    mistake("padding-not-cropped", "grad_input", formula=_of_padded_image),
    mistake("cropped-at-minus-zero", "grad_input", result=cropped_at_minus_zero),
    mistake(
        "cropped-at-minus-zero",
        "grad_input",
        result=lambda r, p: cropped_at_minus_zero(covered(r, p, padded=True), p),
    ),
    mistake("remainder-dropped", "grad_input", result=covered),
    mistake("remainder-in-front", "grad_input", result=_remainder_in_front),
    mistake("replicate-padding", "", _repadded("edge")),
    mistake("reflect-padding", "", _repadded("reflect")),
    mistake("wrap-padding", "", _repadded("wrap")),
    mistake("one-padding", "", _repadded("constant")),
    _kernel("first-tap-lost", _without(..., 0, 0)),
    _kernel("last-tap-lost", _without(..., -1, -1)),
    _kernel("first-tap-row-lost", _without(..., 0, slice(None))),
    _kernel("last-tap-row-lost", _without(..., -1, slice(None))),
    _kernel("first-tap-column-lost", _without(..., 0)),
    _kernel("last-tap-column-lost", _without(..., -1)),
    _kernel("first-input-channel-lost", _without(slice(None), 0)),
    _kernel("last-input-channel-lost", _without(slice(None), -1)),
    mistake("last-kernel-lost", "output", argument("weight", _without(-1))),
    mistake("divided-by-positions", "grad_", result=scaled(lambda p: 1 / int(np.prod(p.dy.shape[2:])))),
    mistake(
        "divided-by-outputs", "grad_", result=scaled(lambda p: 1 / (len(p.dy) * int(np.prod(p.dy.shape[2:]))))
    ),
    mistake("divided-by-window", result=scaled(lambda p: 1 / int(np.prod(p.array("weight").shape[2:])))),
    *(
        mistake(f"{which}-position-only", gradient, _of_one_window(slice(None), place))
        for gradient in ("grad_weight", "grad_bias")
        for which, place in (("first", 0), ("last", -1))
    ),
    *(mistake("last-window-only", gradient, _of_one_window(-1, -1)) for gradient in ("grad_weight", "grad_bias")),
    mistake("kernels-overwritten", "grad_input", formula=lambda p: overwritten_by_windows(p, last_kernel=True)),
    *PIXELS,
)


def _output_padding(everything: bool) -> EditResult:
    """Subtract the bias in the rows and columns of the output padding, or set them to 0."""

    def result(r: Array, probe: Probe) -> Array:
        rows, columns = pair(probe.options["output_padding"])
        bias = probe.arrays.get("bias")
        added = np.zeros((*r.shape[-2:],), bool)
        added[r.shape[-2] - rows :] = added[:, r.shape[-1] - columns :] = True
        if everything:
            return np.where(added, 0, r)
        return r if bias is None else np.where(added, r - bias[:, None, None], r)

    return result


TRANSPOSED = (
    mistake("bias-missing-in-output-padding", "output", result=_output_padding(everything=False)),
    mistake("output-padding-left-zero", "output", result=_output_padding(everything=True)),
)
