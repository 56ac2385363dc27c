"""Plant a random sample of small mistakes in all code outside of the ops, and count those that the tests find.

    python benchmarks/mutation/sample.py --sample 200 --seed 1           print the score and each survivor
    python benchmarks/mutation/sample.py --sample 200 --seed 1 --reuse   the same with the last run's coverage

The tests run once under coverage, which records the lines that each test executes. Then lines are drawn at random
from all executed ones, and one of mutmut's mutants for each, except changes to texts of several words. The tests
that execute the line run on the mutant, then others that execute the file, because a line that runs at import or
in a shared fixture belongs to whichever test comes first: those in the mirrored folder first, then the fastest
first, until one fails or `--seconds` are over. Everything happens in a copy, build/sample.

Exits with 1 if a mutant survives, and with 2 if the unchanged code does not pass.
"""

import argparse
import difflib
import json
import os
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import coverage
import libcst as cst
from mutmut.mutation.file_mutation import create_mutations, deep_replace
from run import copy_project

ROOT = Path(__file__).parent.parent.parent
COPY = ROOT / "build" / "sample"
COPIED = ("numpy_cnn", "torch_cnn", "parity", "tests", "docs", "benchmarks", "README.md", "CONTRIBUTING.md",
          "CHANGELOG.md", "LICENSE", "Makefile", "constraints.txt", "pyproject.toml", ".ci")  # fmt: skip
ELSEWHERE = ("numpy_cnn/ops/", "numpy_cnn/optim/", "numpy_cnn/chain.py")  # covered completely by run.py
LINES, TIMES, CHOSEN, LOG = "lines.coverage", "times.json", "chosen.json", "tests.log"  # in the copy


@dataclass(frozen=True)
class Mutant:
    """A changed line and the outcome."""

    file: str
    line: int
    before: str
    after: str
    fate: str  # killed, survived
    tests: int


def main(arguments: list[str] | None = None) -> int:
    """Draw mutants, test them, and print the survivors and the score."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sample", type=int, default=200, help="mutants (default: 200)")
    parser.add_argument("--seed", type=int, default=0, help="the same seed draws the same mutants (default: 0)")
    parser.add_argument(
        "--seconds", type=float, default=60, help="tests per mutant, by their usual time (default: 60)"
    )
    parser.add_argument("--jobs", type=int, default=os.cpu_count(), help="tests at a time under coverage")
    parser.add_argument("--reuse", action="store_true", help="use the coverage of the last run")
    parser.add_argument("--json", type=Path, help="file for the outcomes")
    typed = parser.parse_args(arguments)
    if not typed.reuse:
        copy_project(COPIED, COPY)
        if _pytest("benchmarks.mutation.executed", "-n", str(typed.jobs), "tests"):
            print(f"the unchanged code does not pass its tests: see {COPY / LOG}", file=sys.stderr)
            return 2
    tests, times = _tests_by_line(), json.loads((COPY / TIMES).read_text(encoding="utf-8"))
    outcomes = []
    for file, line, code in _drawn(tests, random.Random(typed.seed), typed.sample):
        mutant = _judged(file, line, code, _chosen(file, line, tests, times, typed.seconds))
        outcomes.append(mutant)
        print(f"{len(outcomes):4} {mutant.fate:8} {mutant.file}:{mutant.line}", flush=True)
        if mutant.fate == "survived":
            print(f"     - {mutant.before}\n     + {mutant.after}", flush=True)
        if typed.json:
            typed.json.write_text(json.dumps([asdict(o) for o in outcomes], indent=1), encoding="utf-8")
    fates = Counter(mutant.fate for mutant in outcomes)
    print(f"\nseed {typed.seed}: {fates['killed']} of {len(outcomes)} mutants found")
    return 1 if fates["survived"] else 0


def _pytest(plugin: str, *arguments: str, limit: float | None = None) -> int:
    command = [sys.executable, "-m", "pytest", "-q", "-p", plugin, "-p", "no:cacheprovider", *arguments]
    environment = {**os.environ, "PYTHONPATH": str(COPY), "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        with (COPY / LOG).open("w", encoding="utf-8") as log:
            return subprocess.run(
                command, cwd=COPY, env=environment, timeout=limit, stdout=log, stderr=subprocess.STDOUT
            ).returncode
    except subprocess.TimeoutExpired:
        return -1  # the mutant hangs


def _tests_by_line() -> dict[tuple[str, int], list[str]]:
    """{(file, line): the tests that execute it}, in the order of the lines."""
    data = coverage.CoverageData(basename=str(COPY / LINES))
    data.read()
    found: dict[tuple[str, int], list[str]] = {}
    for path in sorted(data.measured_files()):
        name = Path(path).relative_to(COPY).as_posix()
        if not name.startswith(ELSEWHERE):
            contexts = data.contexts_by_lineno(path)
            found |= {(name, line): sorted(filter(None, tests)) for line, tests in sorted(contexts.items())}
    return {place: tests for place, tests in found.items() if tests}


def _drawn(
    tests: dict[tuple[str, int], list[str]], generator: random.Random, number: int
) -> Iterator[tuple[str, int, str]]:
    """Yield lines in random order, with the code of the file after one mutation of that line."""
    places = list(tests)
    generator.shuffle(places)
    for file, line in places:
        if number == 0:
            return
        code = (COPY / file).read_text(encoding="utf-8")
        module, mutations, *_ = create_mutations(file, code, covered_lines={line})
        fit = [m for m in mutations if not _is_prose(m.original_node)]
        if fit:
            number -= 1
            chosen = generator.choice(fit)
            changed = deep_replace(module, chosen.original_node, chosen.mutated_node)
            assert isinstance(changed, cst.Module)
            yield file, line, changed.code


def _is_prose(node: cst.CSTNode) -> bool:
    return isinstance(node, cst.BaseString) and " " in cst.Module([]).code_for_node(node).strip()


def _chosen(
    file: str, line: int, tests: dict[tuple[str, int], list[str]], times: dict[str, float], seconds: float
) -> list[str]:
    """Tests of the line, then of the file; each the mirrored folder first, then the fastest; up to `seconds`."""
    of_line, of_file = {*tests[file, line]}, {test for place in tests if place[0] == file for test in tests[place]}
    mirrored = f"tests/{Path(file).parent.as_posix()}/"
    chosen: list[str] = []
    for test in sorted(
        of_file, key=lambda t: (t not in of_line, not t.startswith(mirrored), times.get(t, 0.0), t)
    ):
        seconds -= times.get(test, 0.0)
        if chosen and seconds < 0:
            break
        chosen.append(test)
    return chosen


def _judged(file: str, line: int, code: str, tests: list[str]) -> Mutant:
    """Run the tests on the changed file, then restore it."""
    place = COPY / file
    original = place.read_text(encoding="utf-8")
    (COPY / CHOSEN).write_text(json.dumps(tests), encoding="utf-8")
    place.write_text(code, encoding="utf-8")
    try:
        files = list(dict.fromkeys(test.partition("::")[0] for test in tests))
        failed = _pytest("benchmarks.mutation.chosen", "-x", "-p", "no:xdist", *files, limit=600)
    finally:
        place.write_text(original, encoding="utf-8")
    lines = difflib.ndiff(original.splitlines(), code.splitlines())
    changed = [text for text in lines if text[:2] in ("- ", "+ ")]
    before, after = (" / ".join(t[2:].strip() for t in changed if t[0] == sign) for sign in "-+")
    return Mutant(file, line, before, after, "killed" if failed else "survived", len(tests))


if __name__ == "__main__":
    sys.exit(main())
