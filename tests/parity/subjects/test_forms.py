"""Each form of docs/forms.md: a right layer agrees without a flag, and the same layer with a mistake is caught."""

import doctest
from pathlib import Path

import pytest
from form_table import FORMS, Form, load, table

import parity

IDS = [f"{form.file}.{form.names}" for form in FORMS]
PAGE = Path(__file__).parents[3] / "docs" / "forms.md"


@pytest.mark.parametrize("form", FORMS, ids=IDS)
def test_a_right_layer_agrees(form: Form) -> None:
    report = parity.check(form.row, load(form), examples=6)
    assert report.ok, f"\n{report}"


@pytest.mark.usefixtures("as_found")
@pytest.mark.parametrize("form", FORMS, ids=IDS)
def test_a_mistake_is_caught(form: Form) -> None:
    report = parity.check(form.row, load(form, planted=True), examples=25, lanes=["bound"])
    assert form.quantity in {failure.quantity for failure in report.failures}
    assert all(failure.aspect in ("values", "form") for failure in report.failures), f"\n{report}"


def test_the_page_has_the_table() -> None:
    assert "\n".join(table()) in PAGE.read_text()


def test_the_examples_on_the_page_run() -> None:
    failed, attempted = doctest.testfile(str(PAGE), module_relative=False)
    assert attempted > 0
    assert failed == 0
