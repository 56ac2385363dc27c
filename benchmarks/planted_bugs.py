"""The table of docs/planted-bugs.md, from the JSON output of `python -m parity self-test`.

    python -m parity self-test --json outcomes.json
    python benchmarks/planted_bugs.py outcomes.json              # print the table
    python benchmarks/planted_bugs.py --write outcomes.json      # write it into the page

Several files are combined, for example one per family of rows.
"""

import argparse
import json
import re
import sys
from pathlib import Path
from typing import Any

PAGE = Path(__file__).parent.parent / "docs" / "planted-bugs.md"
PLACE = re.compile(r"(?<=<!-- outcomes -->\n)(.*?)(?=<!-- end of outcomes -->)", re.DOTALL)
COLUMNS = (
    "bugs",
    "found",
    "named correctly",
    "by its lane",
    "not named",
    "named wrongly",
    "correct ones",
    "flagged",
)


def counts(outcomes: list[dict[str, Any]]) -> list[int]:
    """Return the numbers of the columns."""
    wrong = [outcome for outcome in outcomes if outcome["wrong"]]
    found = [outcome for outcome in wrong if outcome["lane"] is not None]
    named = [outcome["named"] for outcome in found]
    right = [outcome for outcome in outcomes if not outcome["wrong"]]
    return [
        len(wrong), len(found), *(named.count(how) for how in ("rightly", "by its lane", "not", "wrongly")),
        len(right), sum(outcome["lane"] is not None for outcome in right),
    ]  # fmt: skip


def table(outcomes: list[dict[str, Any]]) -> str:
    """Return one line per row, in the order of the outcomes, and one for all of them."""
    rows = dict.fromkeys(outcome["row"] for outcome in outcomes)
    lines = [(row, counts([o for o in outcomes if o["row"] == row])) for row in rows]
    text = [f"| row | {' | '.join(COLUMNS)} |", f"|{'---|' * (1 + len(COLUMNS))}"]
    for name, numbers in [*lines, ("all", counts(outcomes))]:
        text.append(f"| {name} | {' | '.join(str(number) if number else '·' for number in numbers)} |")
    return "\n".join(text) + "\n"


def main(arguments: list[str] | None = None) -> int:
    """Print the table or write it into the page."""
    parser = argparse.ArgumentParser(description="The table of planted bugs.")
    parser.add_argument("files", nargs="+", type=Path, help="JSON output of self-test")
    parser.add_argument("--write", action="store_true", help="write the table into docs/planted-bugs.md")
    options = parser.parse_args(arguments)
    outcomes = [o for file in options.files for o in json.loads(file.read_text(encoding="utf-8"))["outcomes"]]
    if not options.write:
        print(table(outcomes), end="")
        return 0
    page = PAGE.read_text(encoding="utf-8")
    PAGE.write_text(PLACE.sub(lambda _: table(outcomes), page), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
