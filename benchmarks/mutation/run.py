"""Plant small mistakes in the ops, the chain and the optimizers, one at a time, and check that parity finds them.

    make mutation                                                all mutants, and the tables of docs/mutation.md
    python benchmarks/mutation/run.py 'numpy_cnn.ops.loss.*'     some of them, by mutmut's names
    python benchmarks/mutation/run.py --sample 500 --seed 1      500 of them, drawn at random
    python benchmarks/mutation/run.py --reuse                    the tables of the last run again

mutmut (pyproject.toml, [tool.mutmut]) makes the mutants from a copy of the project in build/mutation and runs the
parity suite (killers.py) and a few tests against each. Survivors must be listed in equivalent.toml, with the
reason why their results are identical. Exits with 1 if a mutant survives unexplained, or an explanation has no
survivor; with 2 if the unchanged code does not pass.
"""

import argparse
import itertools
import json
import os
import random
import re
import shutil
import subprocess
import sys
import time
import tomllib
from collections import Counter
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent.parent
COPY = ROOT / "build" / "mutation"
PAGE = ROOT / "docs" / "mutation.md"
COPIED = ("numpy_cnn", "torch_cnn", "parity", "tests", "benchmarks/mutation", "pyproject.toml")
FIRST = "numpy_cnn.chain.x_chain__mutmut_1"  # an arbitrary one
FOUND = ("killed", "timeout", "segfault")  # mutmut's statuses of a mutant that did not pass


@dataclass(frozen=True, order=True)
class Mutant:
    """A change and its function: the key of its explanation."""

    function: str
    line: str
    becomes: str


def main(arguments: list[str] | None = None) -> int:
    """Run mutmut on a copy, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="patterns of mutmut's names; all if omitted")
    parser.add_argument("--sample", type=int, default=0, help="number of mutants, drawn at random (default: all)")
    parser.add_argument("--seed", type=int, default=0, help="the same seed draws the same mutants (default: 0)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="mutants at a time")
    parser.add_argument("--reuse", action="store_true", help="run nothing; make the tables of the last run again")
    typed = parser.parse_args(arguments)
    started = time.monotonic()
    command = [_mutmut(), "run", "--max-children", str(typed.jobs)]
    wanted = typed.names
    if not typed.reuse:
        _copy()
    if typed.sample:
        if not typed.reuse:  # mutmut has no command that only generates: run one mutant, list all
            subprocess.run([*command, FIRST], cwd=COPY, stdout=sys.stderr)
        wanted = random.Random(typed.seed).sample(sorted(_statuses()), typed.sample)
    if not typed.reuse:
        run = subprocess.run([*command, *wanted], cwd=COPY, stdout=sys.stderr)
        if run.returncode:
            print("mutmut could not start: without mutants the tests must pass", file=sys.stderr)
            return 2
    minutes = (time.monotonic() - started) / 60
    generated = _statuses()
    statuses = {name: s for name, s in generated.items() if any(fnmatch(name, w) for w in wanted or ["*"])}
    survivors = _survivors(sorted(name for name, status in statuses.items() if status not in FOUND))
    reasons = _reasons()
    drawn = [f"{len(statuses)} of {len(generated)} mutants, drawn at random (seed {typed.seed}).\n"]
    tables = "\n".join(
        [
            *(drawn if typed.sample else []),
            *_by_module(statuses, survivors, reasons),
            "",
            *_by_killer(statuses),
            "",
            *_by_reason(survivors, reasons),
        ]
    )
    print(tables)
    if not typed.reuse:
        print(f"\n{len(statuses)} mutants in {minutes:.0f} minutes, {typed.jobs} at a time")
    entries = {name: _entry(mutant, reasons) for name, mutant in survivors.items()}
    unexplained = [survivors[name] for name, entry in entries.items() if entry is None]
    if unexplained:
        fates = sorted({statuses[name] for name, entry in entries.items() if entry is None})
        print(f"\n{len(unexplained)} unexplained ({', '.join(fates)}): add a test, or give the reason here:")
        print("\n".join(_as_toml(unexplained)))
    if typed.names:
        return 1 if unexplained else 0
    if typed.sample:  # most explanations have no survivor in it
        _fill_in(tables)
        return 1 if unexplained else 0
    idle = reasons.keys() - {entry for entry in entries.values() if entry}
    for mutant in sorted(idle):
        print(f"\nexplained, but no survivor: {mutant.function}\n  - {mutant.line}\n  + {mutant.becomes}")
    _fill_in(tables)
    return 1 if unexplained or idle else 0


def _mutmut() -> str:
    """The mutmut command next to the interpreter."""
    return str(Path(sys.executable).with_name("mutmut"))


def copy_project(names: Iterable[str], to: Path) -> None:
    """Copy these files and folders of the project to a fresh folder."""
    shutil.rmtree(to, ignore_errors=True)
    for name in names:
        source, target = ROOT / name, to / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy2(source, target)


def _copy() -> None:
    """Make a fresh copy of the project, so that it can be edited during the run.

    Caches are removed: a result cached before a mutant is switched on would hide it.
    """
    copy_project(COPIED, COPY)
    for module in (COPY / "numpy_cnn").rglob("*.py"):
        text = module.read_text(encoding="utf-8")
        module.write_text(
            re.sub(r"^ *@(functools\.)?(lru_)?cache\b.*\n", "", text, flags=re.MULTILINE), encoding="utf-8"
        )


def _mutmut_output(*arguments: str) -> str:
    """The output of a mutmut command about its last run."""
    return subprocess.run([_mutmut(), *arguments], cwd=COPY, check=True, capture_output=True, text=True).stdout


def _statuses() -> dict[str, str]:
    """{mutmut's name of a mutant: its outcome}."""
    return dict(re.findall(r"^ *(\S+): (.+)$", _mutmut_output("results", "--all", "true"), flags=re.MULTILINE))


def _survivors(names: list[str]) -> dict[str, Mutant]:
    """{survivor: its change}."""

    def shown(name: str) -> Mutant:
        lines = [line for line in _mutmut_output("show", name).splitlines() if not line.startswith(("+++", "---"))]
        return Mutant(_function(name), *(_code(line[1:] for line in lines if line[:1] == sign) for sign in "-+"))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(names, pool.map(shown, names), strict=True))


def _function(name: str) -> str:
    """The function in mutmut's name: numpy_cnn.ops.loss.x__reduced__mutmut_6 → ops.loss._reduced."""
    function = re.sub(r"__mutmut_\d+$", "", name).removeprefix("numpy_cnn.")
    return re.sub(r"\.x_", ".", function).replace(".xǁ", ".").replace("ǁ", ".")


def _code(lines: Iterable[str]) -> str:
    """The lines joined, without indentation and comments, which do not matter."""
    return " ".join(re.sub(r"  # .*$", "", line).strip() for line in lines)


def _entry(mutant: Mutant, reasons: dict[Mutant, str]) -> Mutant | None:
    """The explanation's key: the mutant itself, or its line with "…" for any change."""
    return next((key for key in (mutant, replace(mutant, becomes="…")) if key in reasons), None)


def _reasons() -> dict[Mutant, str]:
    """{survivor: why its results are identical}."""
    explained = tomllib.loads((HERE / "equivalent.toml").read_text(encoding="utf-8"))["equivalent"]
    return {
        Mutant(entry["function"], entry["line"], becomes): entry["reason"]
        for entry in explained
        for becomes in entry["becomes"]
    }


def _as_toml(mutants: Iterable[Mutant]) -> Iterable[str]:
    """Entries of equivalent.toml without a reason."""
    for (function, line), of_line in itertools.groupby(sorted(mutants), key=lambda m: (m.function, m.line)):
        yield "\n[[equivalent]]"
        yield f"function = {json.dumps(function)}"
        yield f"line = {json.dumps(line, ensure_ascii=False)}"
        yield f"becomes = {json.dumps([mutant.becomes for mutant in of_line], ensure_ascii=False)}"
        yield 'reason = ""'


def _by_module(
    statuses: dict[str, str], survivors: dict[str, Mutant], reasons: dict[Mutant, str]
) -> Iterable[str]:
    yield "| Module | Mutants | Found | Equivalent | Not found | Found of all | Found of those not equivalent |"
    yield "|---|---|---|---|---|---|---|"
    modules = sorted({name.removeprefix("numpy_cnn.").partition(".x")[0] for name in statuses})
    for module in [*modules, ""]:
        chosen = [name for name in statuses if name.startswith(f"numpy_cnn.{module}.x" if module else "")]
        equivalent = sum(name in survivors and _entry(survivors[name], reasons) is not None for name in chosen)
        found = sum(statuses[name] in FOUND for name in chosen)
        rest = len(chosen) - found - equivalent
        title = f"`{module.replace('.', '/')}.py`" if module else "**all**"
        yield (
            f"| {title} | {len(chosen)} | {found} | {equivalent} | {rest} "
            f"| {_share(found, len(chosen))} | {_share(found, len(chosen) - equivalent)} |"
        )


def _share(found: int, of: int) -> str:
    return f"{found / of:.1%}" if of else "–"


def _by_killer(statuses: dict[str, str]) -> Iterable[str]:
    """The table of tests that found mutants first, in the order in which they run."""
    noted = (COPY / "mutants" / "killed.tsv").read_text(encoding="utf-8").splitlines()
    first = {mutant: test for mutant, _, test in (line.partition("\t") for line in reversed(noted))}
    counted = Counter(_killer(first.get(name)) for name, status in statuses.items() if status in FOUND)
    yield "| Found first by | Mutants |"
    yield "|---|---|"
    for killer, count in counted.most_common():
        yield f"| {killer} | {count} |"


def _killer(test: str | None) -> str:
    if test is None:
        return "the end of the process: memory, time"
    if lane := re.search(r"killers\.py::test_row\[.*-(\w+)\]", test):
        return f"the {lane[1]} lane"
    return f"`{test.partition('::')[0]}`"


def _by_reason(survivors: dict[str, Mutant], reasons: dict[Mutant, str]) -> Iterable[str]:
    entries = (_entry(mutant, reasons) for mutant in survivors.values())
    counted = Counter((reasons[entry], entry.function) for entry in entries if entry)
    yield "| Equivalent, because | In | Mutants |"
    yield "|---|---|---|"
    for (reason, function), count in sorted(counted.items(), key=lambda item: item[0][::-1]):
        yield f"| {reason} | `{function}` | {count} |"


def _fill_in(tables: str) -> None:
    """Insert the tables into the page."""
    page = PAGE.read_text(encoding="utf-8")
    before, begin, rest = page.partition("<!-- tables: make mutation -->\n")
    _, end, after = rest.partition("<!-- /tables -->\n")
    PAGE.write_text(f"{before}{begin}\n{tables}\n\n{end}{after}", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
