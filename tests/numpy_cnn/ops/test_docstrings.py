"""Every public op has a docstring of the one form: a phrase, the formula, Args, Returns, Raises, Source."""

import inspect
import re

import pytest

from numpy_cnn import ops

SECTIONS = ["Args:", "Returns:", "Raises:", "Source:"]


@pytest.mark.parametrize("name", ops.__all__)
def test_the_docstring_has_all_sections_and_each_parameter(name: str) -> None:
    op = getattr(ops, name)
    text = inspect.getdoc(op) or ""
    phrase, blank, *_ = text.splitlines()
    assert phrase.endswith(".")
    assert "torch." in phrase
    assert not blank
    found = re.findall(r"^(?:Args|Returns|Raises|Source):", text, re.MULTILINE)
    assert found == SECTIONS  # each once, in this order
    formula, args, returns, raises, source = re.split(r"^(?:Args|Returns|Raises|Source):", text, flags=re.M)
    assert re.search(r"^    \S.* = |`group_norm`", formula, re.MULTILINE)  # instance_norm refers to it
    assert re.findall(r"^    (\w+): \S", args, re.MULTILINE) == list(inspect.signature(op).parameters)
    assert "the pullback dy →" in " ".join(returns.split())
    assert "ValueError: " in raises
    assert source.strip().endswith(".")
