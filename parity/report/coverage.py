"""Coverage of a row's cases: the ranges of their geometry, and errors as fractions of their bounds."""

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from parity.cases.case import Case

# Names of the axes, by the name and rank of the array.
AXES = {
    ("input", 4): ("N", "C", "H", "W"),
    ("weight", 4): ("O", "C/groups", "kh", "kw"),
    ("weight", 2): ("out", "in"),
    ("bias", 1): ("O",),
}
# Errors as fractions of their bounds fall into decades: 0, below 1e-6, …, up to 1, beyond.
DECADES = ("0", "<1e-5", "1e-5", "1e-4", "1e-3", "0.01", "0.1", ">1")
MANY = 24  # more values of an option than this are too many to list


@dataclass
class Coverage:
    """Counts that grow case by case."""

    geometry: dict[str, Counter[Any]] = field(default_factory=dict)  # "input N", "stride", …: how often each value
    errors: dict[str, list[int]] = field(default_factory=dict)  # for each quantity, how many cases in each decade

    def add(self, case: Case, fractions: dict[str, float] | None) -> None:
        """Count a case and, in the bound lane, its worst errors."""
        count, windows = self._count, "stride" in case.options
        for spec in case.arrays:
            if spec.shape is None:
                count(spec.name, "None")
                continue
            names = AXES.get((spec.name, len(spec.shape))) if windows or spec.name != "input" else None
            for place, size in enumerate(spec.shape):
                count(f"{spec.name} {names[place] if names else f'axis {place}'}", size)
            if not spec.shape:
                count(spec.name, "scalar")
        for name, value in case.options.items():
            if not isinstance(value, dict):
                for each in value if isinstance(value, tuple) else (value,):
                    count(name, each if type(each) is int else str(each))
        count("dtype", case.dtype)
        for name, fraction in (fractions or {}).items():
            self.errors.setdefault(name, [0] * len(DECADES))[_decade(fraction)] += 1

    def _count(self, name: str, value: Any) -> None:
        counter = self.geometry.get(name)
        if counter is None:
            counter = self.geometry[name] = Counter()
        counter[value] += 1

    def ranges(self) -> dict[str, str]:
        """As text: {"input N": "1–3", "groups": "1–3", "padding": "0–3, same, valid"}."""
        shown = {}
        for name, counter in self.geometry.items():
            numbers = sorted(value for value in counter if isinstance(value, int))
            words = sorted(str(value) for value in counter if not isinstance(value, int))
            parts = []
            if numbers:
                low, high = numbers[0], numbers[-1]
                parts.append(f"{low}" if low == high else f"{low}–{high}")
            if len(words) > MANY:
                parts.append(f"{len(words)} values")
            else:
                parts += words
            shown[name] = ", ".join(parts)
        return shown


def _decade(fraction: float) -> int:
    if fraction == 0:
        return 0
    if fraction > 1:
        return len(DECADES) - 1
    return min(max(math.floor(math.log10(fraction)) + 7, 1), len(DECADES) - 2)
