"""The pytest plugin: its flags reach `parity.case`, and it costs nothing where no parity test runs."""

import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import entry_points

import hypothesis
import hypothesis.core
import pytest

import parity
from parity.api import defaults

pytest_plugins = ["pytester"]

# An installed project is found by its entry point, and must not be named a second time.
INSTALLED = any(point.value == "parity.plugin" for point in entry_points(group="pytest11"))
PLUGIN = [] if INSTALLED else ["-p", "parity.plugin"]

TEST = """
import parity
from numpy_cnn import ops

test_relu = parity.case("relu", ops.relu)

def test_what_was_chosen():
    from parity.api.defaults import examples_for, seed_for
    assert (examples_for(None), seed_for(None)) == ({examples}, {seed})
"""


@pytest.fixture(autouse=True)
def nothing_chosen() -> Iterator[None]:
    before = defaults.Chosen.examples, defaults.Chosen.seed
    defaults.Chosen.examples = defaults.Chosen.seed = None
    yield
    defaults.Chosen.examples, defaults.Chosen.seed = before


@pytest.mark.parametrize(
    ("flags", "examples", "seed"),
    [
        (["--parity-examples", "7", "--parity-seed", "3"], 7, 3),
        ([], 200, 0),
        (["--hypothesis-seed", "11"], 200, 11),
    ],
)
def test_flags_reach_the_tests(pytester: pytest.Pytester, flags: list[str], examples: int, seed: int) -> None:
    pytester.makepyfile(TEST.format(examples=examples, seed=seed))
    before = hypothesis.core.global_force_seed
    try:
        done = pytester.runpytest(*PLUGIN, "-p", "no:cacheprovider", *flags)
    finally:
        hypothesis.core.global_force_seed = before
    done.assert_outcomes(passed=2)


@pytest.mark.parametrize("flags", [["--parity-examples", "0"], ["--parity-seed", "-1"]])
def test_flags_that_mean_nothing(pytester: pytest.Pytester, flags: list[str]) -> None:
    done = pytester.runpytest(*PLUGIN, *flags)
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines([f"*got {flags[1]}*"])


def test_a_failure_is_told_in_the_tests_output(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("import parity\ntest_relu = parity.case('relu', lambda x: (x, lambda dy: (dy,)))")
    done = pytester.runpytest(*PLUGIN, "-p", "no:cacheprovider", "--parity-examples", "10")
    done.assert_outcomes(failed=1)
    done.stdout.fnmatch_lines(["*relu: output in the exact lane*", "*python -m parity replay*"])


def test_a_profile_of_hypothesis_says_how_many() -> None:
    before = hypothesis.settings.default
    hypothesis.settings.register_profile("thorough", max_examples=31)
    hypothesis.settings.load_profile("thorough")
    try:
        report = parity.check("relu", lanes=["exact"])
        assert report.examples == 31
        assert report.rows[0].lanes == {"exact": 31}
        assert parity.check("relu", lanes=["exact"], examples=12).rows[0].lanes == {"exact": 12}
    finally:
        hypothesis.settings.register_profile("before", before)
        hypothesis.settings.load_profile("before")
    assert defaults.examples_for(None) == 200
    with pytest.raises(ValueError, match="got 0"):
        parity.check("relu", examples=0)


def test_neither_the_plugin_nor_a_test_not_run_imports_torch() -> None:
    code = (
        "import sys\n"
        "import parity.plugin\n"
        "import parity\n"
        "test = parity.case('relu')\n"
        "slow = {'torch', 'hypothesis', 'numpy'} & set(sys.modules)\n"
        "assert not slow, slow\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
