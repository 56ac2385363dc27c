"""The numbers of a case, from its seed: small integers, normal reals, or special values."""

from typing import Any, NamedTuple

import numpy as np

from parity.cases.case import ArraySpec, Case, Lane
from parity.cases.op import Array

# Few values, so that ties are common; zeros of both signs; values at which arithmetic may fail.
SPECIAL = np.array([0.0, -0.0, 1.0, -1.0, 2.0, np.nan, np.inf, -np.inf])
NOT_FINITE = np.array([np.nan, np.inf, -np.inf])
BYTE = 127  # the largest signed 8-bit index
FEW, MUCH = 16, 256  # special values of a large array: if half were NaN, all sums would be NaN

SHIFT = 256  # standard deviations from 0: a variance by E[x²] − E[x]² loses all digits in float32


class Inputs(NamedTuple):
    """The arguments of a call, and the generator that draws the cotangent once the output's shape is known."""

    names: tuple[str, ...]  # of the positional arrays
    arrays: tuple[Array | None, ...]
    options: dict[str, Any]
    generator: np.random.Generator
    magnitude: int
    integer: bool
    zeros: bool = True  # whether the cotangent may contain zeros
    dy: Array | None = None  # the cotangent, if the case contains it

    def cotangent(self, y: Array, special: bool = False) -> Array:
        """Draw dy in y's shape and dtype: random, because a dy of ones hides many mistakes.

        Args:
            y: the output.
            special: whether a quarter of the cases have NaN and ±inf in dy.
        """
        if self.dy is not None:
            dy = np.full(np.shape(y), self.dy) if self.dy.size == 1 else self.dy.reshape(np.shape(y))
            return dy.astype(y.dtype)
        dy = _numbers(self.generator, np.shape(y), self.magnitude, self.integer, self.zeros)
        if special and self.generator.random() < 0.25:
            dy = np.where(self.generator.random(dy.shape) < 0.25, self.generator.choice(NOT_FINITE, dy.shape), dy)
        return dy.astype(y.dtype)

    def private(self) -> "Inputs":
        """Return copies for an implementation that may write to its arguments."""
        return self._replace(
            arrays=tuple(None if array is None else array.copy() for array in self.arrays),
            options={k: v.copy() if isinstance(v, np.ndarray) else v for k, v in self.options.items()},
        )

    def in_float64(self) -> "tuple[tuple[Array | None, ...], dict[str, Any]]":
        """The same values in double precision, for the referee."""
        return self.in_precision(np.dtype(np.float64))

    def in_precision(self, dtype: np.dtype[Any]) -> "tuple[tuple[Array | None, ...], dict[str, Any]]":
        """The arrays and options with all floating numbers in another precision."""

        def converted(value: Any) -> Any:
            is_floating = isinstance(value, np.ndarray) and np.issubdtype(value.dtype, np.floating)
            return value.astype(dtype) if is_floating else value

        return tuple(map(converted, self.arrays)), {k: converted(v) for k, v in self.options.items()}


def inputs_of(case: Case, lane: Lane, integer: bool) -> Inputs:
    """Draw the case's arrays: integers or normal reals; the special lane adds special values.

    Numbers stored in the case replace the drawn ones.
    """
    generator = np.random.default_rng(case.seed)
    drawn = {
        spec.name: _array(spec, case, generator, integer, lane, first=place == 0)
        for place, spec in enumerate(case.arrays)
    }
    if "indices" in drawn:
        _repeat_at_equal(drawn)
    given = case.values or {}
    for spec in case.arrays:
        if spec.name in given and spec.shape is not None:
            kind = np.int64 if spec.kind == "classes" else case.dtype
            drawn[spec.name] = np.array(given[spec.name], dtype=kind).reshape(spec.shape)
    positional = tuple(spec.name for spec in case.arrays if not spec.keyword)
    keywords = {spec.name: drawn[spec.name] for spec in case.arrays if spec.keyword}
    return Inputs(
        positional,
        tuple(drawn[name] for name in positional),
        case.options | keywords,
        generator,
        case.magnitude,
        integer,
        lane != "special",
        np.array(given["dy"], dtype=case.dtype) if "dy" in given else None,
    )


def _array(
    spec: ArraySpec, case: Case, generator: np.random.Generator, integer: bool, lane: Lane, first: bool
) -> Array | None:
    if spec.shape is None:
        return None
    if spec.kind == "classes":
        target = generator.integers(0, spec.classes, spec.shape, dtype=np.int64)
        if spec.classes > BYTE and target.size:  # only the last classes overflow an index of few bits
            target = np.where(generator.random(spec.shape) < 0.25, spec.classes - 1, target)
            target.flat[0] = spec.classes - 1
        if spec.ignored is not None:
            target = np.where(generator.random(spec.shape) < 0.25, spec.ignored, target)
        return np.asarray(target)
    if spec.kind in ("weights", "shares"):
        return generator.integers(1 if spec.kind == "weights" else 0, 5, spec.shape).astype(case.dtype)
    # Only the input has special values, and the other arrays no zeros: 0·∞ is NaN in the matrix product of one
    # library, and 0 in another that skips zero factors.
    numbers = _numbers(generator, spec.shape, case.magnitude, integer, zeros=first or lane != "special")
    if first and lane == "special":
        # Half of the entries of a small array, so that a tie or a NaN has ordinary neighbours.
        share = 0.5 if numbers.size <= MUCH else FEW / numbers.size
        numbers = np.where(generator.random(spec.shape) < share, generator.choice(SPECIAL, spec.shape), numbers)
    if spec.kind == "log":
        numbers = -np.abs(numbers)
    if spec.kind == "near" and not integer:
        numbers = _distinct(_near(numbers, generator, np.finfo(case.dtype).nmant).astype(case.dtype))
    if spec.kind == "shifted":
        numbers = numbers + SHIFT * case.magnitude
    return np.asarray(numbers.astype(case.dtype))


def _repeat_at_equal(drawn: dict[str, Array | None]) -> None:
    """Set numbers of a plane whose indices are equal to the first of them: which one is kept is not defined."""
    name, numbers = next(iter(drawn.items()))
    indices = drawn["indices"]
    assert numbers is not None
    assert indices is not None
    if numbers.shape != indices.shape:  # an invalid case
        return
    found = numbers.copy()
    for plane in np.ndindex(found.shape[:-2]):
        _, first, place = np.unique(indices[plane], return_index=True, return_inverse=True)
        found[plane] = found[plane].ravel()[first][place.reshape(found.shape[-2:])]
    drawn[name] = found


def conflicts(case: Case) -> bool:
    """Whether the numbers stored in the case differ at equal indices of a plane."""
    given = case.values or {}
    if "indices" not in given or case.arrays[0].name not in given:
        return False
    inputs = inputs_of(case, "exact", integer=True)
    drawn = dict(zip(inputs.names, inputs.arrays, strict=True))
    before, first = np.asarray(inputs.arrays[0]), case.arrays[0].name
    _repeat_at_equal(drawn)
    return not np.array_equal(before, np.asarray(drawn[first]), equal_nan=True)


def _near(numbers: Array, generator: np.random.Generator, digits: int) -> Array:
    """Few different numbers, each times 1 ± 2⁻ᵏ: the first binary digit that differs may be any but the first."""
    if numbers.size == 0:
        return numbers
    chosen = generator.choice(numbers.ravel()[:FEW], numbers.shape)
    shift = generator.choice([-1.0, 1.0], numbers.shape) * 2.0 ** -generator.integers(1, digits + 1, numbers.shape)
    return np.asarray(chosen * (1 + shift * (generator.random(numbers.shape) < 0.5)))


def _distinct(numbers: Array) -> Array:
    """The same numbers with equal ones moved to the next free ones: real numbers do not tie in the bound lane."""
    kind = np.int32 if numbers.dtype == np.float32 else np.int64
    least = int(np.iinfo(kind).min)
    bits = numbers.ravel().view(kind).astype(np.int64)
    places = np.where(bits < 0, least - bits, bits)  # in the order of the numbers, neighbours one apart
    order, steps = np.argsort(places, kind="stable"), np.arange(places.size)
    places[order] = np.maximum.accumulate(places[order] - steps) + steps
    bits = np.where(places < 0, least - places, places).astype(kind)
    return bits.view(numbers.dtype).reshape(numbers.shape)


def _numbers(
    generator: np.random.Generator, shape: tuple[int, ...], magnitude: int, integer: bool, zeros: bool
) -> Array:
    if integer:
        numbers = generator.integers(-magnitude, magnitude + 1, shape).astype(np.float64)
        return numbers if zeros else np.where(numbers == 0, 1.0, numbers)
    return np.asarray(generator.standard_normal(shape) * magnitude)


def blank_arrays(case: Case) -> tuple[tuple[Array | None, ...], dict[str, Any]]:
    """Zeros in the case's shapes and dtypes, and its options: enough to test whether the case is accepted."""
    blank = {
        spec.name: None
        if spec.shape is None
        else np.zeros(spec.shape, np.int64 if spec.kind == "classes" else case.dtype)
        for spec in case.arrays
    }
    keywords = {spec.name: blank[spec.name] for spec in case.arrays if spec.keyword}
    return tuple(blank[s.name] for s in case.arrays if not s.keyword), case.options | keywords
