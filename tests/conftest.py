"""Fixtures shared by several test files."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest  # NumPy and torch read the number of threads when they are imported
import torch
from hypothesis import Phase, given, settings, strategies
from mnist_files import real_mnist_dir
from programs import PROGRAMS, succeed

from parity.cases.same_draws import same_draws

torch.set_num_threads(1)

# The same cases in every run, and no deadline on a busy machine. Not named `ci`, which Hypothesis defines itself.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")


@given(strategies.none())
def use_hypothesis(_: None) -> None:
    """Let Hypothesis create and register its random generator."""


def pytest_collection_finish() -> None:
    """Exclude modules and collected tests, which live until the end, from later garbage collections."""
    use_hypothesis()  # its oldest releases look for references to their generator, which are hidden below
    gc.collect()
    gc.freeze()


def pytest_runtest_teardown() -> None:
    """Restore one thread: a backend sets the number for the whole process, and idle threads wait actively."""
    torch.set_num_threads(1)


@pytest.fixture(autouse=True, scope="session")
def _same_draws() -> Iterator[None]:
    """Make the cases of a test independent of other tests, which import modules with constants."""
    with same_draws():
        yield


@pytest.fixture(params=sorted(PROGRAMS))
def program(request: pytest.FixtureRequest) -> str:
    """Each of the two programs in turn."""
    return request.param


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A finished run of each program on the digits, with plots; it classifies most digits correctly. Read-only."""
    folders = {}
    for name in PROGRAMS:
        folders[name] = tmp_path_factory.mktemp("trained") / name
        succeed(name, "train", "--out", folders[name], "--epochs", 6)
    return folders


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Disable the plots of a training run, which take longer than the training itself."""
    monkeypatch.setattr("numpy_cnn.common.cli.train.draw_pictures", lambda *_: [])


@pytest.fixture
def as_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """Report each failure as found, without shrinking, classifying, naming or explaining it."""
    monkeypatch.setattr("parity.running.lane.PHASES", (Phase.generate,))
    monkeypatch.setattr("parity.running.row.investigate", lambda row, op, lane, found, *_, **__: (found, {}))


@pytest.fixture
def named(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check classifies and names each failure as it was found: no smaller case, conditions or script.

    The search for a name draws fewer cases where few of them fail.
    """
    monkeypatch.setattr("parity.naming.observation.MOST_CASES", 200)
    monkeypatch.setattr("parity.naming.observation.MORE_CASES", 200)
    monkeypatch.setattr("parity.running.lane.PHASES", (Phase.generate,))
    monkeypatch.setattr("parity.running.investigate.with_small_numbers", lambda found, *_: found)
    monkeypatch.setattr("parity.running.investigate.explain", lambda *_, **__: {})


@pytest.fixture
def unexplained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shrink and classify failures, but do not search for a name, a condition or a script."""
    monkeypatch.setattr("parity.running.classify.explain", lambda *_: None)
    monkeypatch.setattr("parity.running.investigate.explain", lambda *_, **__: {})


@pytest.fixture(scope="session")
def mnist_dir() -> Path:
    """The folder of the real MNIST; skips the test if MNIST_DIR is not set."""
    return real_mnist_dir()
