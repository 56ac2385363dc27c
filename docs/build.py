"""Insert code from the source and tables of planted bugs from the exam into the pages.

    python docs/build.py            # write the pages
    python docs/build.py --check    # write nothing; exit 1 if a page differs from a fresh build

A comment in a page marks a place. This script inserts the text after it, and replaces it in every run:

    <!-- code numpy_cnn/ops/linear.py linear -->                          a whole function, without its docstring
    <!-- code numpy_cnn/ops/linear.py linear.pullback: dw -->             its statements that assign dw,
                                                                          except branches that return or raise
    <!-- code numpy_cnn/optim/adam.py Adam.step: "g - m" … "m += " -->    from one line to another
    <!-- code numpy_cnn/optim/adam.py Adam.step: "t += 1", "v *=" -->     several statements, each by a part of it
    <!-- mistakes relu-slope-at-zero relu-in-place -->                     a table of planted bugs, by name
"""

import argparse
import ast
import re
import sys
from functools import cache
from pathlib import Path
from textwrap import dedent
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
PLACE = re.compile(
    r"^<!-- code (?P<file>\S+) (?P<object>[\w.]+)(?:: (?P<parts>[^\n]+?))? -->\n"
    r"(?:<!-- fmt: off -->\n```python\n.*?^```\n<!-- fmt: on -->\n)?",
    re.MULTILINE | re.DOTALL,
)
TABLE = re.compile(r"^<!-- mistakes(?P<names>(?:\s+[\w-]+)+?)\s+-->\n(?:\n(?:\|.*\n)+)?", re.MULTILINE)
EXAMPLES, SEED = 200, 0  # the defaults of `python -m parity self-test`
ISSUE = re.compile(r"(?P<repository>\S+/\S+)#(?P<number>\d+)")
PART = re.compile(r'"(?P<start>[^"]+)"(?: … "(?P<end>[^"]+)")?|(?P<name>\w+)')
Function = ast.FunctionDef | ast.ClassDef


class Missing(Exception):  # noqa: N818  # named after what happened
    """A page refers to code, or to a planted bug, that does not exist."""


class Finding(NamedTuple):
    """A planted bug and how the harness found it."""

    row: str
    description: str
    where: str  # quantities and lane
    explanation: str
    source: str


def pages(root: Path) -> list[Path]:
    """All pages, in order."""
    return sorted((root / "docs").rglob("*.md"))


def built(text: str, root: Path) -> str:
    """Return the page with every marked block filled in.

    Raises:
        Missing: a block refers to something that does not exist; the message lists the alternatives.
    """

    def fill(place: re.Match[str]) -> str:
        marker = place[0].partition("\n")[0]
        line = text.count("\n", 0, place.start()) + 1
        try:
            code = excerpt((root / place["file"]).read_text(encoding="utf-8"), place["object"], place["parts"])
        except OSError as error:
            raise Missing(f"line {line}: {place['file']} cannot be read: {error.strerror}") from error
        except Missing as missing:
            raise Missing(f"line {line}: {place['file']} {missing}") from missing
        block = f"```python\n# {place['file']}: {place['object']}\n{code}\n```"
        # ruff would break the lines of a dedented excerpt in other places.
        return f"{marker}\n<!-- fmt: off -->\n{block}\n<!-- fmt: on -->\n"

    def fill_table(place: re.Match[str]) -> str:
        marker = place[0].partition("-->")[0]
        try:
            return f"{marker}-->\n\n{table(place['names'].split())}"
        except Missing as missing:
            raise Missing(f"line {text.count(chr(10), 0, place.start()) + 1}: {missing}") from missing

    for line, content in enumerate(text.splitlines(), start=1):
        if content.startswith("<!-- code") and not PLACE.match(f"{content}\n"):
            raise Missing(f"line {line}: expected <!-- code FILE OBJECT[: PARTS] -->, got {content}")
    for place in re.finditer(r"^<!-- mistakes", text, re.MULTILINE):
        if not TABLE.match(text, place.start()):
            line = text.count("\n", 0, place.start()) + 1
            raise Missing(f"line {line}: expected <!-- mistakes NAME NAME … -->, optionally followed by a table")
    return TABLE.sub(fill_table, PLACE.sub(fill, text))


def table(names: list[str]) -> str:
    """Return a table of planted bugs: the mistake, where it was found, its explanation, and its source."""
    found = [mistake(name) for name in names]
    several = len({finding.row for finding in found}) > 1
    lines = [["Mistake", "Found in", "Explanation by the harness"], ["---", "---", "---"]]
    lines += [[f"{f.row}: {f.description}" if several else f.description, f.where, f.explanation] for f in found]
    if any(finding.source for finding in found):
        sources = ["Source", "---", *(_linked(finding.source) for finding in found)]
        for cells, cell in zip(lines, sources, strict=True):
            cells.append(cell)
    return "".join(f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |\n" for cells in lines)


@cache
def mistake(name: str) -> Finding:
    """Run the exam on one planted bug and return the finding with its explanation.

    Raises:
        Missing: there is no such bug, or the exam does not find it.
    """
    from parity.exam import PLANTED
    from parity.exam.exam import SPEAK_FOR_THEMSELVES, first_failure
    from parity.naming import Observation, explain
    from parity.report.sentences import diagnosis
    from parity.rows.registry import ROWS
    from parity.running.sandbox import sandboxed
    from parity.subjects import adapt

    entry = next((entry for entry in PLANTED if entry.name == name), None)
    if entry is None:
        raise Missing(f"there is no planted bug {name}; python -m parity self-test --json - lists them")
    row = ROWS[entry.row]
    caught, cases = first_failure(row, entry.op, EXAMPLES, SEED)
    if caught is None:
        raise Missing(f"{name} was not found in {cases} cases")
    quantities = list(dict.fromkeys(difference.quantity for difference in caught.differences))
    with sandboxed():
        observation = Observation(row, adapt(entry.op), caught.lane)
        explained = [explain(observation, quantity) for quantity in quantities]
    sentences = {
        quantity: f"{'' if found.always else 'where it fails, '}{found.sentence}"
        for quantity, found in zip(quantities, explained, strict=True)
        if found is not None
    }
    first, different = caught.differences[0], {*sentences.values()}
    if not sentences and first.aspect in SPEAK_FOR_THEMSELVES:
        different = {diagnosis(first)}
    explanation = "; ".join(f"{quantity}: {sentence}" for quantity, sentence in sentences.items())
    if len(different) < 2:
        explanation = next(iter(different), "none: no known mistake reproduces it")
    where = f"{', '.join(quantities)} in the {caught.lane} lane"
    return Finding(entry.row, entry.description, where, explanation, entry.source)


def _linked(source: str) -> str:
    """Return the source as a link; GitHub redirects issue links to pull requests."""
    issue = ISSUE.fullmatch(source)
    return f"[{source}](https://github.com/{issue['repository']}/issues/{issue['number']})" if issue else source


def excerpt(source: str, name: str, parts: str | None = None) -> str:
    """Return the code of an object (dotted names for nested ones): all of it, or the requested parts."""
    objects = dict(_objects(ast.parse(source)))
    if name not in objects:
        raise Missing(f"has no {name}; it has {', '.join(objects)}")
    lines = source.splitlines()
    node = objects[name]
    if parts is None:
        spans = [_without_docstring(node)]
    else:
        spans = sorted({span for part in PART.finditer(parts) for span in _spans(part, node, lines, name)})
    pieces = []
    for i, (first, last) in enumerate(spans):
        if i and first > spans[i - 1][1] + 1 and any(lines[spans[i - 1][1] : first - 1]):
            pieces.append(" " * _indent(lines[first - 1]) + "…")
        pieces += lines[first - 1 : last]
    return dedent("\n".join(pieces))


def _objects(tree: ast.AST, prefix: str = "") -> list[tuple[str, Function]]:
    """(dotted name, node) of every function and class, including nested ones."""
    found = []
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, Function):
            found += [(prefix + node.name, node), *_objects(node, f"{prefix}{node.name}.")]
        else:
            found += _objects(node, prefix)
    return found


def _spans(part: re.Match[str], node: Function, lines: list[str], name: str) -> list[tuple[int, int]]:
    """The lines (first, last), counted from 1, of one part."""
    if part["name"]:
        candidates = [s for s in node.body if not isinstance(s, Function) and not _leaves_early(s)]
        statements = [s for s in candidates if part["name"] in _bound(s)]
        if not statements:
            known = sorted({n for s in candidates for n in _bound(s)})
            raise Missing(f"does not assign {part['name']} in {name}; it assigns {', '.join(known)}")
        return [(_with_comment(s.lineno, lines), _end(s)) for s in statements]
    start = _line_with(part["start"], node, lines, name)
    if part["end"]:
        end = _line_with(part["end"], node, lines, name)
        if end < start:
            raise Missing(f"has {part['end']!r} above {part['start']!r} in {name}")
        return [(_with_comment(start, lines), _end(_statement_at(end, node)))]
    statement = _statement_at(start, node)
    return [(_with_comment(statement.lineno, lines), _end(statement))]


def _leaves_early(statement: ast.stmt) -> bool:
    """Whether this is a branch that returns or raises."""
    return isinstance(statement, ast.If) and isinstance(statement.body[-1], ast.Return | ast.Raise)


def _bound(statement: ast.stmt) -> set[str]:
    """The names that a statement assigns, in whole or in part, or passes as out=."""
    targets: list[ast.expr] = []
    for node in ast.walk(statement):
        if isinstance(node, ast.Assign):
            targets += node.targets
        elif isinstance(node, ast.AugAssign | ast.AnnAssign):
            targets.append(node.target)
        elif isinstance(node, ast.keyword) and node.arg == "out":
            targets.append(node.value)
    names = set()
    while targets:
        target = targets.pop()
        if isinstance(target, ast.Name):
            names.add(target.id)
        elif isinstance(target, ast.Subscript | ast.Starred):
            targets.append(target.value)
        elif isinstance(target, ast.Tuple):
            targets += target.elts
    return names


def _line_with(text: str, node: Function, lines: list[str], name: str) -> int:
    first, last = _without_docstring(node)
    found = [number for number in range(first, last + 1) if text in lines[number - 1]]
    if len(found) != 1:
        where = f"in lines {', '.join(map(str, found))}" if found else "in none"
        raise Missing(f"must contain {text!r} in exactly one line of {name}; found {where}")
    return found[0]


def _statement_at(line: int, node: Function) -> ast.stmt:
    """The smallest statement that covers the line."""
    covering = [s for s in ast.walk(node) if isinstance(s, ast.stmt) and s.lineno <= line <= _end(s)]
    return min(covering, key=lambda s: _end(s) - s.lineno)


def _without_docstring(node: Function) -> tuple[int, int]:
    """The lines of the body after the docstring, or of the whole function if there is none."""
    if ast.get_docstring(node) is None:
        return node.lineno, _end(node)
    return _end(node.body[0]) + 1, _end(node)


def _with_comment(line: int, lines: list[str]) -> int:
    """The first line of the comment right above, if there is one."""
    while line > 1 and lines[line - 2].lstrip().startswith("#"):
        line -= 1
    return line


def _end(node: ast.stmt) -> int:
    return node.end_lineno or node.lineno


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def main(arguments: list[str] | None = None) -> int:
    """Build or check the pages, and return the exit code."""
    parser = argparse.ArgumentParser(
        description="Insert code from the source and tables of planted bugs into the pages."
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if a page is stale")
    parser.add_argument("--root", type=Path, default=ROOT, help="the checkout to build")
    options = parser.parse_args(arguments)
    code = 0
    for page in pages(options.root):
        shown = page.relative_to(options.root)
        text = page.read_text(encoding="utf-8")
        try:
            fresh = built(text, options.root)
        except Missing as missing:
            print(f"{shown}, {missing}", file=sys.stderr)
            code = 2
            continue
        if fresh != text and options.check:
            print(f"{shown} is stale: run python docs/build.py", file=sys.stderr)
            code = max(code, 1)
        elif fresh != text:
            page.write_text(fresh, encoding="utf-8")
            print(f"{shown} written")
    return code


if __name__ == "__main__":
    sys.exit(main())
