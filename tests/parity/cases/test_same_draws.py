"""The cases of a seed do not depend on the imported modules."""

import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import strategies as st

from parity.cases.same_draws import same_draws
from parity.cases.sample import sample

providers = pytest.importorskip("hypothesis.internal.conjecture.providers", reason="an older Hypothesis")

CONSTANTS = [7001, 7002, 7003]
NAMES = "_get_local_constants", "CONSTANTS_CACHE"  # which conftest.py replaces for all tests
ORIGINAL = {name: vars(providers)[name] for name in NAMES if name in vars(providers)}


@pytest.fixture
def imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Import a new module with constants, such as a user's file of layers, that Hypothesis has not read yet."""
    file = tmp_path.parent / "layers.py"  # Hypothesis ignores the constants in a folder named after a test
    file.write_text(f"SIZES = {CONSTANTS}\n")
    module = ModuleType("layers")
    module.__file__ = str(file)
    exec(compile(file.read_text(), str(file), "exec"), vars(module))
    monkeypatch.setitem(sys.modules, "layers", module)
    for name, original in ORIGINAL.items():
        monkeypatch.setattr(providers, name, original)


def test_the_constants_of_a_module_are_not_drawn(imported: None) -> None:
    drawn = sample(st.lists(st.integers(5000, 100_000), min_size=20, max_size=20), 100)
    assert not {number for numbers in drawn for number in numbers} & {*CONSTANTS}


def test_hypothesis_is_restored() -> None:
    before = dict(vars(providers))
    with same_draws(), same_draws():
        pass
    assert vars(providers) == before
