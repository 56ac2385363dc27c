"""Each form of docs/forms.md: a correct layer agrees without flags, and a mistake in it is found and named."""

import doctest
from pathlib import Path

import pytest
from form_table import FORMS, Form, load, table

import parity

pytestmark = pytest.mark.usefixtures("named")  # other tests cover shrinking and conditions

IDS = [f"{form.file}.{form.names}" for form in FORMS]
PAGE = Path(__file__).parents[3] / "docs" / "forms.md"


@pytest.mark.parametrize("form", FORMS, ids=IDS)
def test_a_right_layer_agrees(form: Form) -> None:
    report = parity.check(form.row, load(form), examples=4)
    assert report.ok, f"\n{report}"


@pytest.mark.parametrize("form", FORMS, ids=IDS)
def test_a_mistake_is_caught_and_named(form: Form) -> None:
    examples = 60 if form.row == "max_pool2d" else 25  # few small cases have overlapping windows
    report = parity.check(form.row, load(form, planted=True), examples=examples, lanes=["bound"])
    assert all(failure.verdict in ("wrong", "convention") for failure in report.failures)
    causes = {failure.quantity: failure.explanation for failure in report.failures}
    assert causes.get(form.quantity) == form.cause, f"\n{report}"


def test_the_page_has_the_table() -> None:
    assert "\n".join(table()) in PAGE.read_text()


def test_the_examples_on_the_page_run() -> None:
    failed, attempted = doctest.testfile(str(PAGE), module_relative=False)
    assert attempted > 0
    assert failed == 0
