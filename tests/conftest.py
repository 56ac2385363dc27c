"""What several test files share."""

from __future__ import annotations

import gc
import os
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import pytest  # the number of threads is read at the import of NumPy and torch
import torch
from hypothesis import Phase, settings
from mnist_files import real_mnist_dir
from programs import PROGRAMS, succeed

torch.set_num_threads(1)

# The same cases in every run, however busy the machine is. Hypothesis has a profile `ci` of its own.
settings.register_profile("repeatable", deadline=None, derandomize=True)
settings.load_profile("repeatable")


def pytest_collection_finish() -> None:
    """Keep modules and tests, which live until the end, out of every later garbage collection."""
    gc.collect()
    gc.freeze()


@pytest.fixture(params=sorted(PROGRAMS))
def program(request: pytest.FixtureRequest) -> str:
    """Each of the two programs in turn."""
    return request.param


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run on the digits by each program, with pictures, that reads most digits right. Not to be written to."""
    folders = {}
    for name in PROGRAMS:
        folders[name] = tmp_path_factory.mktemp("trained") / name
        succeed(name, "train", "--out", folders[name], "--epochs", 6)
    return folders


@pytest.fixture
def no_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Training draws nothing, which takes longer than training does."""
    monkeypatch.setattr("numpy_cnn.common.cli.train.draw_pictures", lambda *_: [])


@pytest.fixture
def as_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check reports each failure as it was found: it is not shrunk, classified, named or explained."""
    monkeypatch.setattr("parity.running.lane.PHASES", (Phase.generate,))
    monkeypatch.setattr("parity.running.row.investigate", lambda row, op, lane, found, *_, **__: (found, {}))


@pytest.fixture
def unexplained(monkeypatch: pytest.MonkeyPatch) -> None:
    """A check shrinks and classifies its failures, but looks for no name, condition or script."""
    monkeypatch.setattr("parity.running.classify.explain", lambda *_: None)
    monkeypatch.setattr("parity.running.investigate.explain", lambda *_, **__: {})


@pytest.fixture(scope="session")
def mnist_dir() -> Path:
    """The real MNIST; the test is skipped where MNIST_DIR does not name it."""
    return real_mnist_dir()
