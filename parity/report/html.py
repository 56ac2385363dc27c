"""A report as one self-contained HTML page: no network, no script, no other file."""

from pathlib import Path
from typing import Any

from parity.diagnosis.evidence import Array
from parity.diagnosis.facets import Kind
from parity.report import pictures, sentences, terminal
from parity.report.objects import Failure, Results
from parity.report.tables import MOST_ENTRIES, number

TEMPLATE = Path(__file__).with_name("page.html")


def page(report: Results) -> str:
    """The whole page."""
    return _rendered("page", report)


def fragment(report: Results) -> str:
    """The page for a notebook: styles and content, without html, head and body."""
    return _rendered("fragment", report)


def _rendered(kind: str, report: Results) -> str:
    import jinja2

    template = jinja2.Environment(
        autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    ).from_string(TEMPLATE.read_text(encoding="utf-8"))
    return template.render(
        kind=kind,
        report=report,
        lanes=terminal.LANES,
        tables=_tables,
        again=terminal.again,
        who=terminal.who,
        distribution=pictures.distribution,
        heat_map=pictures.heat_map,
        number=number,
        short=terminal.short,
        summary=terminal.summary(report),
        sentences=sentences,
        too_many=(Kind.AXIS, Kind.DOUBLE),  # facets, of which there would be one for each axis
    )


def _tables(failure: Failure) -> list[dict[str, Any]]:
    """The arrays of the smallest case, then both results and their difference, each as blocks of rows of cells."""
    evidence = failure.evidence
    if evidence is None:
        return []
    drawn = [_table(name, array, None) for name, array in evidence.arrays.items()]
    if (c := evidence.comparison) is not None:
        drawn.append(_table(f"{failure.quantity}, yours", c.yours, c.wrong))
        drawn.append(_table("torch's", c.torchs, None))
        drawn.append(_table("yours − torch's", c.difference, c.wrong))
    return drawn


def _table(title: str, array: Array, wrong: Array | None) -> dict[str, Any]:
    shape = "×".join(map(str, array.shape)) or "scalar"
    if not 0 < array.size <= MOST_ENTRIES:
        return {
            "title": title,
            "shape": shape,
            "blocks": [],
            "note": "too large to draw" if array.size else "empty",
        }
    flat = array.reshape((-1, *array.shape[-2:])) if array.ndim > 1 else array.reshape(1, 1, -1)
    marks = flat != flat if wrong is None else wrong.reshape(flat.shape)
    blocks = [
        [
            [(number(value), bool(mark)) for value, mark in zip(*line, strict=True)]
            for line in zip(*both, strict=True)
        ]
        for both in zip(flat.tolist(), marks.tolist(), strict=True)
    ]
    return {"title": title, "shape": shape, "blocks": blocks, "note": ""}
