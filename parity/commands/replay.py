"""`replay`: one case again."""

import json
from dataclasses import dataclass
from typing import Annotated

import tyro

from numpy_cnn.common.errors import UserError


@dataclass(frozen=True)
class Replay:
    """Run one case again, as a failure prints it."""

    case: Annotated[str, tyro.conf.Positional]
    """LANE:JSON."""
    impl: str | None = None
    """FILE.py:NAME of your own implementation."""

    def run(self) -> int:
        """Print what differs on the case; the exit code."""
        from parity.cases import LANES, Case
        from parity.commands.loading import implementation_from
        from parity.registry import ROWS
        from parity.runner import run_case

        lane, _, text = self.case.partition(":")
        try:
            case = Case.from_json(json.loads(text))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"replay: not a case ({error}); copy the argument from a failure, quotes and all"
            ) from error
        chosen = next((known for known in LANES if known == lane), None)
        if chosen is None or case.row not in ROWS:
            raise UserError(f"replay: no lane {lane!r} or no row {case.row!r}; lanes: {', '.join(LANES)}")
        row = ROWS[case.row]
        op = row.op if self.impl is None else implementation_from(self.impl)
        differences = run_case(row, op, chosen, case)
        for difference in differences:
            print(f"{row.name}: {difference.quantity}: {difference.message}")
        print(f"{'STILL FAILING' if differences else 'FIXED'}: {case}")
        return 1 if differences else 0
