"""The README and CONTRIBUTING tell the truth: code runs, links lead somewhere, make knows the targets."""

import re

import pytest
from programs import ROOT

README = (ROOT / "README.md").read_text(encoding="utf-8")
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("block", re.findall(r"```python\n(.*?)```", README, re.DOTALL), ids=["ops", "check"])
def test_code_runs(block: str) -> None:
    exec(compile(block, "README.md", "exec"), {"__name__": "readme"})


@pytest.mark.parametrize("text", [README, CONTRIBUTING], ids=["README", "CONTRIBUTING"])
def test_links_lead_somewhere(text: str) -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", text) if "://" not in link]
    assert all((ROOT / link).exists() for link in links), [x for x in links if not (ROOT / x).exists()]


@pytest.mark.parametrize("text", [README, CONTRIBUTING], ids=["README", "CONTRIBUTING"])
def test_make_knows_the_targets(text: str) -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    named = {
        word for words in re.findall(r"`make ([a-z ]+)`|^make ([a-z]+)", text, re.MULTILINE) for word in words
    }
    assert {word for words in named for word in words.split()} <= targets


def test_contributing_is_short_and_begins_with_an_op() -> None:
    lines = CONTRIBUTING.splitlines()
    assert len(lines) < 60
    assert next(line for line in lines if line.startswith("## ")) == "## Add an op"
