"""The capabilities of an implementation, determined before the lanes run."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Capabilities:
    """The restrictions under which an implementation supports every case.

    Attributes:
        narrows: keyword of `supports` → the only supported value, or the set of them; may be empty.
        calls: the number of calls that determined this.
    """

    narrows: Mapping[str, Any] = field(default_factory=dict)
    calls: int = 0
