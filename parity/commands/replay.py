"""`replay`: failures run again, each FIXED, STILL FAILING or ERROR."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from numpy_cnn.common.spec.errors import UserError
from parity.commands.implementation_flags import ImplementationFlags, row_of
from parity.commands.placeholders import named

if TYPE_CHECKING:
    from parity.report.saved import Saved


@dataclass(frozen=True)
class Replay(ImplementationFlags):
    """Run failures again: one case as a report prints it, a saved file, or all of those saved.

    A saved failure is run as it was checked; flags that are typed come before what was saved.
    """

    case: Annotated[str, tyro.conf.Positional, named("CASE")]
    """LANE:JSON as a report prints it, a FILE of .parity, or the word all."""
    impl: Annotated[str | None, named("FILE.py:NAME")] = None
    """Your own implementation; that of the saved failure if left out."""
    like: Annotated[str | None, named("TORCH.FUNCTION")] = None
    """The oracle of an op that is no row, as in torch.nn.functional.gelu."""
    shapes: Annotated[str | None, named("SHAPES")] = None
    """With --like, those of the arrays."""
    failures: Annotated[Path, named("FOLDER", None)] = Path(".parity")
    """Folder of saved failures."""
    forget: Annotated[bool, named(None)] = False
    """Delete the files of those that are fixed."""

    def run(self) -> int:
        """Print what becomes of each case; 0 all fixed, 1 some still fail, 2 none fails but some cannot be run."""
        from parity.report.saved import saved_in

        verdicts = []
        if self.case == "all":
            files = saved_in(self.failures)
            if not files:
                raise UserError(f"replay all: no saved failure in {self.failures}")
            verdicts = [self._file(file) for file in files]
            told = [f"{verdicts.count(kind)} {kind}" for kind in KINDS if kind in verdicts]
            print(", ".join(told))
        elif Path(self.case).suffix == ".json" and ":{" not in self.case:
            verdicts = [self._file(Path(self.case))]
        else:
            verdicts = [self._replayed(self._typed())]
        return 1 if STILL in verdicts else 2 if ERROR in verdicts else 0

    def _file(self, file: Path) -> str:
        from parity.report.saved import read

        try:
            saved = read(file)
        except (ValueError, OSError) as error:
            print(f"{ERROR}: {error}")
            return ERROR
        verdict = self._replayed(saved)
        if verdict == FIXED and self.forget:
            file.unlink()
        return verdict

    def _typed(self) -> "Saved":
        from parity.cases.case import LANES, Case
        from parity.report.saved import Saved
        from parity.rows.registry import ROWS

        lane, _, text = self.case.partition(":")
        try:
            case = Case.from_json(json.loads(text))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UserError(
                f"replay: not a case ({error}); copy the argument from a failure, quotes and all"
            ) from error
        chosen = next((known for known in LANES if known == lane), None)
        if chosen is None:
            raise UserError(f"replay: no lane {lane!r}; there are {', '.join(LANES)}")
        if case.row not in ROWS and self.like is None:
            raise UserError(f"replay: no row {case.row!r}; for an op that is none, name its oracle: --like …")
        if self.impl is not None:
            from parity.commands.loading import implementation_from

            implementation_from(self.impl)  # a mistake in the name is the user's, and no verdict
        return Saved(case.row, chosen, "", case, "")

    def _replayed(self, saved: "Saved") -> str:
        verdict, lines = replayed(replace(saved, rerun=self.rerun_flags(saved.rerun)))
        print(f"{verdict}: {saved.lane} {saved.case}")
        for line in lines:
            print(f"  {line}")
        return verdict


FIXED, STILL, ERROR = KINDS = ("FIXED", "STILL FAILING", "ERROR")


def replayed(saved: "Saved") -> tuple[str, list[str]]:
    """The verdict on one saved failure, and what there is to say about it."""
    try:
        lines = [*_differences(saved)]
    except UserError as error:
        return ERROR, [str(error)]
    except Exception as error:  # the case is damaged: torch rejects it, or its numbers do not fit
        return ERROR, [f"the case cannot be run: {type(error).__name__}: {' '.join(str(error).split())[:200]}"]
    return (STILL if lines else FIXED), lines


def _differences(saved: "Saved") -> Iterator[str]:
    from parity.commands.loading import implementation_from
    from parity.report.sentences import diagnosis
    from parity.rows.registry import ROWS
    from parity.running.row import run_case
    from parity.subjects import adapt

    how = saved.rerun
    if how.like is None and saved.row not in ROWS:
        raise UserError(f"there is no row {saved.row!r} any more")
    if how.like is not None and how.impl is None:
        raise UserError(f"--like {how.like} takes an --impl, to be compared with it")
    op = adapt(ROWS[saved.row].op) if how.impl is None else implementation_from(how.impl)
    op.timeout = how.timeout
    row = row_of(saved.row, op, how)
    for difference in run_case(row, op, saved.lane, saved.case, supports=how.supports, accept=how.accept):
        yield f"{row.name}: {difference.quantity}: {diagnosis(difference)}"
