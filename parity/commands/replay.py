"""`replay`: run failures again; each is FIXED, STILL FAILING or ERROR."""

import json
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from numpy_cnn.common.spec.errors import UserError
from parity.commands.implementation_flags import ImplementationFlags, arguments_of
from parity.commands.placeholders import named

if TYPE_CHECKING:
    from parity.report.saved import Saved


@dataclass(frozen=True)
class Replay(ImplementationFlags):
    """Run failures again: a printed case, a saved file, or all saved failures.

    A saved failure runs with its saved flags, unless you type others.
    """

    case: Annotated[str, tyro.conf.Positional, named("CASE")]
    """LANE:JSON as printed in a report, a FILE in .parity, or the word all."""
    impl: Annotated[str | None, named("FILE.py:NAME")] = None
    """Your implementation; that of the saved failure if omitted."""
    like: Annotated[str | None, named("TORCH.FUNCTION")] = None
    """The oracle of an op without a row, such as torch.nn.functional.gelu."""
    shapes: Annotated[str | None, named("SHAPES")] = None
    """With --like: the shapes of the arrays."""
    failures: Annotated[Path, named("FOLDER", None)] = Path(".parity")
    """Folder of saved failures."""
    forget: Annotated[bool, named(None)] = False
    """Delete the files of fixed failures."""

    def run(self) -> int:
        """Print the result of each case; return 0 if all are fixed, 1 if one fails, 2 if one cannot run."""
        from parity.report.saved import saved_in

        verdicts = []
        if self.case == "all":
            files = saved_in(self.failures)
            if not files:
                raise UserError(f"replay all: no saved failure in {self.failures}")
            verdicts = [self._file(file) for file in files]
            counts = [f"{verdicts.count(kind)} {kind}" for kind in KINDS if kind in verdicts]
            print(", ".join(counts))
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
        from parity.rows.double_backward import SUFFIX
        from parity.rows.registry import ROWS

        lane, _, text = self.case.partition(":")
        try:
            case = Case.from_json(json.loads(text))
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
            raise UserError(
                f"replay: not a case ({error}); copy the argument from a failure, quotes and all"
            ) from error
        chosen = next((known for known in LANES if known == lane), None)
        if chosen is None:
            raise UserError(f"replay: no lane {lane!r}; there are {', '.join(LANES)}")
        if case.row.removesuffix(SUFFIX) not in ROWS and self.like is None:
            raise UserError(f"replay: no row {case.row!r}; for another op, name its oracle: --like …")
        if self.impl is not None:
            from parity.commands.loading import loaded

            with loaded(self.impl):  # a wrong name is a usage error, not a verdict
                pass
        return Saved(case.row, chosen, "", case, "")

    def _replayed(self, saved: "Saved") -> str:
        verdict, lines = replayed(replace(saved, rerun=self.rerun_flags(saved.rerun)))
        print(f"{verdict}: {saved.lane} {saved.case}")
        for line in lines:
            print(f"  {line}")
        return verdict


FIXED, STILL, ERROR = KINDS = ("FIXED", "STILL FAILING", "ERROR")


def replayed(saved: "Saved", implementation: Any = None) -> tuple[str, list[str]]:
    """Return the verdict on one saved failure, and a line for each difference.

    Args:
        saved: the failure.
        implementation: the implementation, if it is already loaded.
    """
    from parity.api.replay import replay
    from parity.commands.loading import loaded
    from parity.report.sentences import diagnosis

    how = saved.rerun
    try:
        arguments = arguments_of(how)
        with ExitStack() as stack:
            if implementation is None and how.impl is not None:
                implementation = stack.enter_context(loaded(how.impl)).implementation
            if implementation is not None:
                arguments["implementation"] = implementation
            differences = replay(saved.row, lane=saved.lane, case=saved.case, **arguments)
    except UserError as error:
        return ERROR, [str(error)]
    except Exception as error:  # a damaged case: torch rejects it, or its numbers do not match its shapes
        return ERROR, [f"the case cannot be run: {type(error).__name__}: {' '.join(str(error).split())[:200]}"]
    lines = [f"{saved.row}: {difference.quantity}: {diagnosis(difference)}" for difference in differences]
    return (STILL if lines else FIXED), lines
