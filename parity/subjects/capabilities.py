"""What an implementation can do, as a value: found out before the lanes run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Capabilities:
    """The words of `supports` that leave the cases that an implementation does.

    Attributes:
        narrows: word → the only value (or the set of values) that it does; empty where it does everything.
        calls: how often it was called to find this out.
    """

    narrows: Mapping[str, Any] = field(default_factory=dict)
    calls: int = 0
