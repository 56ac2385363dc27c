"""Shards of a run: several processes or hosts check different cases, and their reports are merged."""

import random
from dataclasses import dataclass

from numpy_cnn.common.spec.errors import UserError


@dataclass(frozen=True)
class Shard:
    """Shard `index` (from 1) of `count`."""

    index: int
    count: int

    @classmethod
    def parse(cls, text: str) -> "Shard":
        """Parse I/N.

        Raises:
            UserError: it is not of this form, or I is not between 1 and N.
        """
        index, slash, count = text.partition("/")
        if not (slash and index.isdecimal() and count.isdecimal() and 1 <= int(index) <= int(count) <= 10_000):
            raise UserError(f"--shard {text}: expected I/N with I from 1 to N, as in 1/4")
        return cls(int(index), int(count))

    def examples(self, total: int) -> int:
        """The number of cases of this shard per row and lane; the sum over all shards is `total`.

        Raises:
            UserError: there are fewer cases than shards.
        """
        if total < self.count:
            raise UserError(f"--shard {self}: {total} cases per lane are too few for {self.count} shards")
        return total * self.index // self.count - total * (self.index - 1) // self.count

    def seed(self, seed: int) -> int:
        """The seed of this shard, which has its own cases; shard 1/1 uses the seed of the run."""
        return seed if self.count == 1 else random.Random(f"{seed} shard {self}").getrandbits(32)

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"
