"""The simplest cases of a row: default options, and distinct sizes so that a swapped axis is visible."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from parity.cases.case import ArraySpec, Case

SIZES = (4, 3, 5, 6, 2)
ADAPTIVE = ((2, 3, 6, 8), (3, 6, 8))  # of the input of adaptive pooling
PLAIN: dict[str, Any] = {
    "stride": 1, "padding": 0, "dilation": 1, "groups": 1, "ceil_mode": False, "reduction": "mean", "dim": -1,
    "start_dim": 1, "end_dim": -1, "training": True, "momentum": 0.1, "eps": 1e-5, "kernel_size": 2,
    "output_padding": 0,
}  # fmt: skip
SETTINGS: dict[str, Any] = {
    "lr": 1.0,  # so that a constant such as ε shows in the step
    "momentum": 0.0,
    "dampening": 0.0,
    "weight_decay": 0.0,
    "nesterov": False,
    "amsgrad": False,
    "maximize": False,
}


def simple_cases(template: Case) -> list[Case]:
    """Return one case per rank of the input, the likeliest rank first; none for other kinds of rows.

    Args:
        template: any case of the row; its array and option names are used.
    """
    arrays = {spec.name: spec for spec in template.arrays}
    options = {name: PLAIN.get(name, value) for name, value in template.options.items()}
    made = replace(template, options=options, dtype="float32", seed=0, magnitude=2, values=None)
    if "parameter" in arrays:
        return [_optimizer(made)]
    if "weight" in arrays and len(arrays["weight"].shape or ()) == 4:
        return list(_convolution(made, arrays))
    if "kernel_size" in options:
        window = options | {"stride": 2}
        shapes = ((2, 3, 6, 8), (2, 3, 8, 8))
        return [replace(made, options=window, arrays=(replace(arrays["input"], shape=s),)) for s in shapes]
    if "output_size" in options and "kernel_size" not in options:
        pooled = made.options | {"output_size": 2}
        return [replace(made, arrays=(replace(arrays["input"], shape=s),), options=pooled) for s in ADAPTIVE]
    if "pad" in options:
        return [_padding(made, arrays, axes) for axes in (2, 1, 3)]
    if "mode" in options and {"size", "scale_factor"} & options.keys():
        return list(_interpolation(made, arrays))
    if "normalized_shape" in options:
        return [_layer_normalization(made, arrays, rank) for rank in (2, 3)]
    if "num_groups" in options:
        return [_group_normalization(made, arrays, rank) for rank in (4, 3, 2)]
    if "running_mean" in arrays:
        return [_normalization(made, arrays, rank) for rank in (2, 4, 3, 5)]
    if "target" in arrays and arrays["target"].kind == "classes":
        options.pop("ignore_index", None)
        return [_classification(made, arrays, rank) for rank in (2, 1, 3, 4)]
    if "weight" in arrays and arrays["weight"].shape is not None and not options:
        return [_linear(made, arrays, rank) for rank in (2, 1, 3, 4)]
    if "input" in arrays and all(spec.kind == "real" and not spec.keyword for spec in template.arrays):
        same = [(4, 3), (4,), (4, 3, 5), (4, 3, 5, 2), ()]
        return [replace(made, arrays=tuple(replace(spec, shape=s) for spec in template.arrays)) for s in same]
    return []


def _convolution(made: Case, arrays: dict[str, ArraySpec]) -> Iterator[Case]:
    for size, padding in (((6, 7), 0), ((7, 7), 0), ((6, 7), 1), ((6, 7), "same")):
        weight = (4, 5, 3, 3) if "output_padding" in made.options else (5, 4, 3, 3)
        specs = {"input": (2, 4, *size), "weight": weight, "bias": (5,)}
        yield replace(
            made,
            arrays=tuple(replace(arrays[n], shape=s) for n, s in specs.items()),
            options=made.options | {"padding": padding},
        )


def _padding(made: Case, arrays: dict[str, ArraySpec], axes: int) -> Case:
    specs = (replace(arrays["input"], shape=(2, 3, 5, 6, 4)[: 2 + axes]),)
    return replace(made, arrays=specs, options={"pad": (1,) * (2 * axes), "mode": "constant", "value": None})


def _interpolation(made: Case, arrays: dict[str, ArraySpec]) -> Iterator[Case]:
    for axes in (2, 1):
        shape = (2, 3, 4, 5)[: 2 + axes]
        specs = (replace(arrays["input"], shape=shape),)
        for size in ({"scale_factor": (2.0,) * axes}, {"size": tuple(2 * n for n in shape[2:])}):
            yield replace(made, arrays=specs, options={"mode": "nearest", **size})
            if axes == 2:
                yield replace(made, arrays=specs, options={"mode": "bilinear", "align_corners": None, **size})


def _normalization(made: Case, arrays: dict[str, ArraySpec], rank: int) -> Case:
    shape = SIZES[:rank]
    return replace(
        made,
        arrays=tuple(
            replace(spec, shape=shape, kind="real") if name == "input" else replace(spec, shape=(shape[1],))
            for name, spec in arrays.items()
        ),
    )


def _group_normalization(made: Case, arrays: dict[str, ArraySpec], rank: int) -> Case:
    specs = {"input": replace(arrays["input"], shape=(2, 6, 4, 5)[:rank], kind="real")}
    specs |= {name: replace(arrays[name], shape=(6,)) for name in ("weight", "bias")}
    return replace(made, arrays=tuple(specs.values()), options=made.options | {"num_groups": 3})


def _layer_normalization(made: Case, arrays: dict[str, ArraySpec], rank: int) -> Case:
    shape = SIZES[:rank]
    specs = {"input": replace(arrays["input"], shape=shape, kind="real")}
    specs |= {name: replace(arrays[name], shape=shape[-1:]) for name in ("weight", "bias")}
    return replace(made, arrays=tuple(specs.values()), options=made.options | {"normalized_shape": shape[-1:]})


def _classification(made: Case, arrays: dict[str, ArraySpec], rank: int) -> Case:
    shape = SIZES[:rank] if rank > 1 else (3,)
    classes = shape[1] if rank > 1 else 3
    target = replace(
        arrays["target"], shape=(*shape[:1], *shape[2:]) if rank > 1 else (), classes=classes, ignored=None
    )
    specs = {"input": replace(arrays["input"], shape=shape), "target": target}
    rest = {name: replace(spec, shape=None) for name, spec in arrays.items() if name not in specs}
    return replace(made, arrays=tuple((specs | rest).values()))


def _linear(made: Case, arrays: dict[str, ArraySpec], rank: int) -> Case:
    shapes = {"input": (*(4, 2, 6)[: rank - 1], 3), "weight": (5, 3), "bias": (5,)}
    return replace(made, arrays=tuple(replace(arrays[name], shape=shape) for name, shape in shapes.items()))


def _optimizer(made: Case) -> Case:
    shape = (3, 2)
    specs = (made.arrays[0], *(ArraySpec(f"gradient{i}", shape) for i in range(2)))
    options = {name: SETTINGS.get(name, value) for name, value in made.options.items()}
    return replace(made, arrays=tuple(replace(spec, shape=shape) for spec in specs), options=options)
