"""A case: a few integers that determine the arrays and options of a call."""

import json
import math
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

Kind = Literal["real", "classes", "weights", "shares", "log", "shifted", "near"]
Lane = Literal["exact", "bound", "structure", "special"]
Dtype = Literal["float32", "float64"]
LANES: tuple[Lane, ...] = ("exact", "bound", "structure", "special")
UPSTREAM = "upstream"  # the name of the upstream gradient, in a case of a backward pass


@dataclass(frozen=True)
class ArraySpec:
    """One array argument of the op; its numbers come from the case's seed."""

    name: str  # torch's name of the argument: input, weight, bias, target, …
    shape: tuple[int, ...] | None  # None: the argument itself is None
    # classes: int64 in [0, classes); weights: positive; shares: at least 0; log: at most 0; shifted: far from 0;
    # near: many nearly tie
    kind: Kind = "real"
    classes: int = 0
    ignored: int | None = None  # for classes: some targets have this value
    keyword: bool = False  # an array among the options, which has no gradient


@dataclass(frozen=True)
class Case:
    """Geometry (drawn by Hypothesis), and the seed and magnitude of the numbers in it."""

    row: str
    arrays: tuple[ArraySpec, ...]
    options: dict[str, Any] = field(default_factory=dict)
    dtype: Dtype = "float32"
    magnitude: int = 8  # integers in ±magnitude; real numbers are normal with this standard deviation
    seed: int = 0
    # Explicit numbers: {name of an array, or "dy": nested tuples}. Arrays that are not named are drawn.
    values: dict[str, Any] | None = None

    def to_json(self) -> dict[str, Any]:
        """Plain values for `from_json`; fields of arrays that have their default are omitted."""
        values: dict[str, Any] = json.loads(json.dumps(asdict(self) | {"values": None}))
        plain = asdict(ArraySpec("", None))
        values["arrays"] = [
            {key: value for key, value in spec.items() if key in ("name", "shape") or value != plain[key]}
            for spec in values["arrays"]
        ]
        if self.values is None:
            del values["values"]
        else:
            values["values"] = {name: _plain(array) for name, array in self.values.items()}
        return values

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> "Case":
        """The inverse of `to_json`: lists become tuples again."""
        arrays = tuple(ArraySpec(**{**spec, "shape": _tuple(spec["shape"])}) for spec in values["arrays"])
        options = {name: _tuple(value) for name, value in values["options"].items()}
        numbers = values.get("values")
        given = None if numbers is None else {name: _number(array) for name, array in numbers.items()}
        return cls(**{**values, "arrays": arrays, "options": options, "values": given})

    def __str__(self) -> str:
        shapes = ", ".join(f"{a.name} {'None' if a.shape is None else list(a.shape)}" for a in self.arrays)
        options = "".join(f", {name}={value!r}" for name, value in self.options.items())
        numbers = "" if self.values is not None else f", magnitude {self.magnitude}, seed {self.seed}"
        return f"{self.row}({shapes}{options}) in {self.dtype}{numbers}"


def _tuple(value: Any) -> Any:
    return tuple(_tuple(item) for item in value) if isinstance(value, list) else value


def _plain(value: Any) -> Any:
    """Numbers as JSON values: integers as int, NaN and ±inf as strings."""
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if not math.isfinite(value):
        return str(value)
    return int(value) if value == int(value) and str(value) != "-0.0" else float(value)


def _number(value: Any) -> Any:
    """The inverse of `_plain`."""
    return tuple(_number(item) for item in value) if isinstance(value, list) else float(value)
