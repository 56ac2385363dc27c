"""The pytest plugin: its flags reach `parity.case`; it imports nothing slow unless a parity test runs."""

import subprocess
import sys
from importlib.metadata import entry_points

import hypothesis
import hypothesis.core
import pytest

import parity
from numpy_cnn import ops
from parity.api import defaults

pytest_plugins = ["pytester"]

# An installed plugin is loaded by its entry point, and must not be loaded a second time.
INSTALLED = any(point.value == "parity.plugin" for point in entry_points(group="pytest11"))
PLUGIN = [] if INSTALLED else ["-p", "parity.plugin"]

TEST = """
import parity
from numpy_cnn import ops

test_relu = parity.case("relu", ops.relu, lanes=["exact"])

def test_what_was_chosen():
    report = parity.check("relu", lanes=["exact"])
    assert (report.examples, report.seed) == ({examples}, {seed})
"""


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
def test_invalid_flags_are_rejected(pytester: pytest.Pytester, flags: list[str]) -> None:
    done = pytester.runpytest(*PLUGIN, *flags)
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines([f"*got {flags[1]}*"])


def test_a_failure_is_reported_in_the_tests_output(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("import parity\ntest_relu = parity.case('relu', lambda x: (x, lambda dy: (dy,)))")
    done = pytester.runpytest(*PLUGIN, "-p", "no:cacheprovider", "--parity-examples", "10")
    done.assert_outcomes(failed=1, passed=3)
    done.stdout.fnmatch_lines(["*relu: wrong: output in the exact lane*", "*python -m parity replay*"])


def test_a_profile_of_hypothesis_sets_the_number_of_cases() -> None:
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


def test_torch_is_imported_only_if_a_parity_test_runs() -> None:
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


WRONG = """
import parity
from numpy_cnn import ops

def negated(x):
    y, pullback = ops.relu(x)
    return y, lambda dy: (-pullback(dy)[0],)

class TestMine:
    test_relu = parity.case("relu", negated, examples=20, lanes=["exact", "bound"])

class TestUnittest(__import__("unittest").TestCase):
    test_relu = parity.case("relu", ops.relu, examples=5)
"""


def test_one_id_per_lane_in_a_class(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "300")
    pytester.makepyfile(WRONG)
    done = pytester.runpytest(*PLUGIN, "-p", "no:cacheprovider", "-rA", "--junitxml=report.xml")
    done.assert_outcomes(failed=1, passed=2)
    done.stdout.fnmatch_lines(
        [
            "PASSED *::TestMine::test_relu[[]bound[]]",
            "PASSED *::TestUnittest::test_relu",
            "FAILED *::TestMine::test_relu[[]exact[]] - Failed: relu: grad_input: its sign is wrong *",
        ]
    )
    out = done.stdout.str()
    assert "its sign is wrong" in out
    assert "pytest_pyfunc_call" not in out  # the harness's source is not shown
    assert "def test" not in out
    assert 'message="Failed: relu: grad_input: ' in (pytester.path / "report.xml").read_text()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        ("parity.case('relu', None)", "the implementation of 'relu' is None"),
        ("parity.case('relu', ops.relu, exmples=3)", "exmples"),
        ("parity.check('relu', None)", "the implementation of 'relu' is None"),
    ],
)
def test_mistakes_in_a_call_are_type_errors(call: str, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        eval(call, {"parity": parity, "ops": ops})


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("'rellu', lambda x: x", "there is no row 'rellu'; did you mean relu?*"),
        ("'conv2d', supports={'stirde': 1}", "supports: conv2d has no 'stirde'; it has *stride*"),
        ("'relu', lanes=['exakt']", "lanes: there is no lane 'exakt'; there are exact*"),
        ("'relu', dtype='float16'", "dtype must be float32 or float64, got 'float16'*"),
        ("'relu', accept=['tyes']", "accept: there is no 'tyes'; did you mean ties?*"),
        ("'relu', examples=0", "examples must be at least 1, got 0"),
        ("'relu', 'mine.py'", "*got the text 'mine.py': pass the object itself*"),
        ("'mine', lambda x: x, like=len, strategy=5", "strategy must be a Hypothesis strategy*got 5"),
    ],
)
def test_a_mistake_in_a_case_is_an_error_of_the_collection(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, arguments: str, message: str
) -> None:
    monkeypatch.setenv("COLUMNS", "900")
    pytester.makepyfile(f"import parity\ntest_it = parity.case({arguments})")
    done = pytester.runpytest(*PLUGIN, "-p", "no:cacheprovider")
    done.assert_outcomes(errors=1)
    done.stdout.fnmatch_lines([f"ERROR * - Failed: test_*: {message}".replace("[", "[[]")])


TABLE = """
[tool.parity]
examples = 7
accept = ["dtype"]
strict = true
supports = { groups = 1 }
[tool.parity.rows.relu]
examples = 9
supports = { rank = 2 }
"""


def test_defaults_in_pyproject(pytester: pytest.Pytester) -> None:
    pytester.makepyprojecttoml(TABLE)
    pytester.makepyfile(
        """
        import numpy as np
        import parity
        from numpy_cnn import ops

        def relu(x):
            assert x.ndim == 2
            y, pullback = ops.relu(x)
            return y.astype(np.float64), pullback

        test_relu = parity.case("relu", relu)

        def test_what_holds():
            assert parity.check("relu", relu, lanes=["exact"]).examples == 9
            assert parity.check("linear", lanes=["exact"]).examples == 7
            assert parity.check("relu", relu, lanes=["exact"], examples=3).examples == 3
        """
    )
    done = pytester.runpytest(*PLUGIN, "-p", "no:cacheprovider")
    done.assert_outcomes(passed=5)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ("exmples = 3", "has no key 'exmples'; did you mean examples?"),
        ("examples = '3'", "examples must be an integer of at least 1, got '3'"),
        ("examples = 0", "examples must be an integer of at least 1, got 0"),
        ("accept = 'ties'", 'accept must be a list of names, as in [[]"dtype"[]], got'),
        ("conv2d = { examples = 3 }", "the values of one row belong in [[]tool.parity.rows.conv2d[]]"),
    ],
)
def test_mistakes_in_pyproject(pytester: pytest.Pytester, table: str, message: str) -> None:
    pytester.makefile(".ini", pytest="[pytest]")  # pytest itself does not read this file
    (pytester.path / "pyproject.toml").write_text(f"[tool.parity]\n{table}\n")
    done = pytester.runpytest(*PLUGIN)
    assert done.ret == pytest.ExitCode.USAGE_ERROR
    done.stderr.fnmatch_lines([f"*{message}*"])


@hypothesis.given(hypothesis.strategies.integers(0, 1))
@hypothesis.settings(max_examples=2, deadline=None, derandomize=True)
def test_a_check_runs_within_a_test_of_hypothesis(seed: int) -> None:
    assert parity.check("relu", ops.relu, examples=2, seed=seed).ok
