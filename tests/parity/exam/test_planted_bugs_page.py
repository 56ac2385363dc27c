"""The table of planted bugs is computed from outcomes; the page contains it."""

import sys

from programs import ROOT

sys.path.insert(0, str(ROOT / "benchmarks"))

import planted_bugs

OUTCOMES = [
    {"row": "relu", "wrong": True, "lane": "exact", "named": "rightly"},
    {"row": "relu", "wrong": True, "lane": None, "named": "not"},
    {"row": "relu", "wrong": True, "lane": "structure", "named": "by its lane"},
    {"row": "linear", "wrong": False, "lane": None, "named": "not"},
    {"row": "linear", "wrong": False, "lane": "bound", "named": "not"},
]


def test_the_table() -> None:
    assert planted_bugs.table(OUTCOMES).splitlines()[2:] == [
        "| relu | 3 | 2 | 1 | 1 | · | · | · | · |",
        "| linear | · | · | · | · | · | · | 2 | 1 |",
        "| all | 3 | 2 | 1 | 1 | · | · | 2 | 1 |",
    ]


def test_the_page_contains_the_table() -> None:
    (place,) = planted_bugs.PLACE.findall(planted_bugs.PAGE.read_text(encoding="utf-8"))
    assert place.startswith("| row | bugs |")
