"""Replacing every sentence by noise changes no script, verdict, field or tag: no code parses our own text."""

import inspect
import itertools
import re
from functools import cache
from html.parser import HTMLParser
from types import FunctionType
from typing import Any

import numpy as np
import pytest

import parity
from numpy_cnn import ops
from parity.report import Report, sentences

COUNT = itertools.count()


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every step of a diagnosis, with fewer cases: the words may change none of them."""
    monkeypatch.setattr("parity.running.lane.SHRINKING", 40)
    monkeypatch.setattr("parity.diagnosis.explain.CASES", 30)


def noise(value: Any) -> Any:
    """The same structure, with each text replaced by a unique one."""
    if isinstance(value, list):
        return [noise(item) for item in value]
    return f"⟨{next(COUNT)} qwx⟩" if value else value


@pytest.fixture
def noisy(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Make every function of `sentences` return noise; return the list of functions called."""
    called: list[str] = []

    def replaced(name: str, function: FunctionType) -> Any:
        def render(*arguments: Any) -> Any:
            called.append(name)
            return noise(function(*arguments))

        return render

    for name, function in inspect.getmembers(sentences, inspect.isfunction):
        if function.__module__ == sentences.__name__:
            monkeypatch.setattr(sentences, name, replaced(name, function))
    return called


def flips_the_kernel(x: Any, w: Any, b: Any = None, **options: Any) -> Any:
    y, pullback = ops.conv2d(x, w, b, **options)

    def back(dy: Any) -> Any:
        dx, dw, db = pullback(dy)
        return dx, dw[:, :, ::-1, ::-1], db

    return y, back


class Accumulates:
    def forward(self, x: Any) -> Any:
        self.mask, self.dx = x > 0, np.zeros_like(x)
        return np.maximum(x, 0)

    def backward(self, dy: Any) -> Any:
        self.dx += np.where(self.mask, dy, 0)
        return self.dx


def writes_and_widens(x: Any) -> Any:
    mask = x > 0
    x[~mask] = 0
    return x.astype(np.float64), lambda dy: (np.where(mask, dy, 0),)


def of_contiguous(x: Any) -> Any:
    if not x.flags.c_contiguous:
        raise ValueError("contiguous arrays only")
    x.max()
    return np.maximum(x, 0), lambda dy: (np.where(x >= 0, dy, 0),)


def raises_and_forgets(x: Any) -> Any:
    if x.ndim > 1:
        raise KeyError("lost")
    return np.maximum(x, 0), lambda dy: ()


SUBJECTS = {
    "flips_the_kernel": ("conv2d", flips_the_kernel),
    "accumulates": ("relu", Accumulates),
    "writes_and_widens": ("relu", writes_and_widens),
    "of_contiguous": ("relu", of_contiguous),
    "raises_and_forgets": ("relu", raises_and_forgets),
}


def checked(name: str) -> Report:
    row, implementation = SUBJECTS[name]
    return parity.check(row, implementation, examples=15, seed=3)


@cache
def plain_report(name: str) -> tuple[Report, str, str]:
    """The report, its text and its page, without noise."""
    report = checked(name)
    return report, str(report), report.to_html()


def without_words(values: Any) -> Any:
    if isinstance(values, dict):
        return {key: without_words(value) for key, value in values.items() if key != "diagnosis"}
    return [without_words(value) for value in values] if isinstance(values, list) else values


class Tags(HTMLParser):
    """The tags of a page, without its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, Any]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, sorted(attrs, key=str)))

    def handle_endtag(self, tag: str) -> None:
        self.found.append((tag, None))


@pytest.mark.parametrize("name", SUBJECTS)
def test_noise_changes_only_the_words(name: str, request: pytest.FixtureRequest) -> None:
    plain, text, page = plain_report(name)
    called = request.getfixturevalue("noisy")
    noisy = checked(name)
    assert {"diagnosis", "fact"} <= {*called}
    assert plain.failures
    assert "qwx" in str(noisy)
    assert "qwx" not in text
    assert without_words(noisy.to_json()) == without_words(plain.to_json())
    assert Tags(noisy.to_html()).found == Tags(page).found
    for before, after in zip(plain.failures, noisy.failures, strict=True):
        assert before.difference == after.difference
        assert (before.evidence and before.evidence.script) == (after.evidence and after.evidence.script)


def test_the_same_seed_gives_the_same_text() -> None:
    (first, text, page), second = plain_report("flips_the_kernel"), checked("flips_the_kernel")
    assert text == str(second)
    assert first.to_json() == second.to_json()
    assert re.sub(r"\s+", " ", page) == re.sub(r"\s+", " ", second.to_html())
