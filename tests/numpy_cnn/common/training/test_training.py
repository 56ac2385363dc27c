"""The training loop: batches, checkpoints, and interrupted runs that end like uninterrupted ones."""

from __future__ import annotations

import io
import math
import signal
import sys
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from programs import OTHER, PROGRAMS, best, bits, call, history, last, succeed

from numpy_cnn.common.data import PIXELS, Split, digits
from numpy_cnn.common.spec.architecture import PRESETS
from numpy_cnn.common.spec.config import OptimizerConfig, TrainConfig
from numpy_cnn.common.spec.errors import UserError
from numpy_cnn.common.training import loop
from numpy_cnn.common.training.checkpoint import Progress
from numpy_cnn.common.training.display import training_display
from numpy_cnn.common.training.group import Alone
from numpy_cnn.common.training.interrupt import Interrupt
from numpy_cnn.common.training.plan import TrainingPlan
from numpy_cnn.common.training.run_folder import RunFolder

pytestmark = pytest.mark.usefixtures("no_pictures")

ADAM = ("--optimizer", "adam")
SGD = ("--optimizer", "sgd", "--lr", "0.05", "--momentum", "0.9", "--nesterov", "--weight-decay", "0.01")
SMALL = ("--limit", 80, "--batch-size", 20, "--filters", 2, "--hidden", 6)  # 72 images: 4 batches
BATCHES = 4


def assert_same_runs(one: Path, other: Path) -> None:
    """Assert that two runs are identical bit for bit, except for their times."""
    for mine, theirs in ((last(one), last(other)), (best(one), best(other))):
        assert bits(mine.parameters) == bits(theirs.parameters)
        assert bits(mine.optimizer_state) == bits(theirs.optimizer_state)
        for progress in (mine.progress, theirs.progress):
            assert progress.batch == progress.seen == progress.loss_sum == 0
        assert mine.progress == theirs.progress
    assert history(one) == history(other)


@pytest.fixture
def stop_after(monkeypatch: pytest.MonkeyPatch):
    """Interrupt the next runs as Ctrl-C does, each after the given number of batches."""

    def stop(*counts: int) -> None:
        remaining = list(counts)

        class After(Interrupt):
            def __init__(self) -> None:
                self.left = remaining.pop(0) if remaining else math.inf

            @property
            def requested(self) -> int:
                self.left -= 1
                return signal.SIGINT if self.left < 0 else 0

        monkeypatch.setattr("numpy_cnn.common.cli.train.Interrupt", After)

    return stop


@pytest.mark.parametrize("optimizer", [ADAM, SGD], ids=["adam", "sgd"])
def test_a_run_extended_later_equals_a_longer_run(tmp_path: Path, program: str, optimizer: tuple) -> None:
    flags = (*SMALL, *optimizer, "--schedule", "constant")  # a cosine schedule depends on the number of epochs
    succeed(program, "train", *flags, "--epochs", 5, "--out", tmp_path / "at once")
    succeed(program, "train", *flags, "--epochs", 2, "--out", tmp_path / "later")
    succeed(program, "train", *flags, "--epochs", 5, "--resume", tmp_path / "later")
    assert len(history(tmp_path / "later")) == 5
    assert_same_runs(tmp_path / "at once", tmp_path / "later")


@given(
    counts=st.lists(st.integers(0, 3 * BATCHES - 1), min_size=1, max_size=3),
    optimizer=st.sampled_from([ADAM, SGD]),
    validation=st.sampled_from(["0.1", "0"]),
)
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_an_interrupted_and_resumed_run_equals_an_uninterrupted_one(
    tmp_path_factory: pytest.TempPathFactory,
    program: str,
    stop_after,
    counts: list[int],
    optimizer: tuple,
    validation: str,
) -> None:
    folder = tmp_path_factory.mktemp("runs")
    flags = (*SMALL, *optimizer, "--validation", validation, "--epochs", 3)
    stop_after()
    succeed(program, "train", *flags, "--out", folder / "unbroken")

    stop_after(*counts)
    result = call(program, "train", *flags, "--out", folder / "broken")
    for number, count in enumerate(counts):
        if result.code == 0:
            break
        assert result.code == 130
        done = sum(counts[: number + 1])
        at = last(folder / "broken").progress
        assert (at.epoch, at.batch) == divmod(done, BATCHES), count
        result = call(program, "train", "--resume", folder / "broken")
    assert result.code == 0
    assert_same_runs(folder / "unbroken", folder / "broken")


def test_the_message_explains_how_to_continue(tmp_path: Path, program: str, stop_after) -> None:
    stop_after(BATCHES + 1)
    result = call(program, "train", *SMALL, "--epochs", 3, "--out", tmp_path / "a run")
    assert result.code == 130
    saved, resume = result.err.splitlines()[-2:]
    assert saved == f"{program}: interrupted; saved {tmp_path / 'a run' / 'last.safetensors'}"
    assert resume == f"continue with: python -m {program} --resume '{tmp_path / 'a run'}'"
    assert len(history(tmp_path / "a run")) == 1


def test_a_missing_row_of_the_history_is_restored_from_the_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process is killed after writing the checkpoint and before writing the history."""
    succeed("numpy_cnn", "train", *SMALL, "--epochs", 4, "--out", tmp_path / "unbroken")
    save = RunFolder._write_history

    def killed(self: RunFolder, rows: tuple) -> None:
        if len(rows) == 3:
            raise KeyboardInterrupt
        save(self, rows)

    monkeypatch.setattr(RunFolder, "_write_history", killed)
    assert call("numpy_cnn", "train", *SMALL, "--epochs", 4, "--out", tmp_path / "killed").code == 130
    monkeypatch.setattr(RunFolder, "_write_history", save)
    assert len(history(tmp_path / "killed")) == 2
    assert last(tmp_path / "killed").progress.epoch == 3
    succeed("numpy_cnn", "train", "--resume", tmp_path / "killed")
    assert_same_runs(tmp_path / "unbroken", tmp_path / "killed")


def test_a_run_of_one_program_can_be_finished_by_the_other(tmp_path: Path, program: str, stop_after) -> None:
    stop_after(BATCHES + 2)
    assert call(program, "train", *SMALL, "--epochs", 3, "--out", tmp_path / "run").code == 130
    assert last(tmp_path / "run").backend == program
    begun = history(tmp_path / "run")

    succeed(OTHER[program], "train", "--resume", tmp_path / "run")
    finished = last(tmp_path / "run")
    assert finished.backend == OTHER[program]
    assert finished.progress.epoch == 3
    assert history(tmp_path / "run")[:1] == begun
    assert len(history(tmp_path / "run")) == 3
    steps = {name: float(a) for name, a in finished.optimizer_state.items() if name.endswith(".step")}
    assert set(steps.values()) == {3.0 * BATCHES}
    assert len(steps) == len(finished.parameters)


def test_both_programs_start_with_the_same_parameters_and_images(tmp_path: Path) -> None:
    """With a step size of 0 the parameters stay equal, and both programs report the same accuracies."""
    for name in PROGRAMS:
        succeed(name, "train", *SMALL, "--epochs", 1, "--lr", 0, "--out", tmp_path / name)
    ours, theirs = last(tmp_path / "numpy_cnn"), last(tmp_path / "torch_cnn")
    assert bits(ours.parameters) == bits(theirs.parameters)
    accuracies = [[row["validation_accuracy"] for row in history(tmp_path / name)] for name in PROGRAMS]
    assert accuracies[0] == accuracies[1]


def test_the_best_checkpoint_is_the_best_by_validation(tmp_path: Path, program: str) -> None:
    # A step size this large makes the accuracy fluctuate.
    flags = (*SMALL, "--schedule", "constant", "--lr", "0.1", "--validation", "0.4")
    result = succeed(program, "train", *flags, "--epochs", 8, "--out", tmp_path / "run")
    rows = RunFolder(tmp_path / "run").history()
    chosen = max(rows, key=lambda row: (row["validation_accuracy"], -row["validation_loss"], -row["epoch"]))
    assert 1 < chosen["epoch"] < 8, "with the flags above, the best epoch is the first or the last"
    assert best(tmp_path / "run").progress.best_epoch == chosen["epoch"]
    assert f"epoch {chosen['epoch']} of 8" in result.out

    succeed(program, "train", *flags, "--epochs", chosen["epoch"], "--out", tmp_path / "short")
    assert bits(best(tmp_path / "run").parameters) == bits(last(tmp_path / "short").parameters)


def test_ties_in_accuracy_are_broken_by_the_loss_and_then_by_the_epoch() -> None:
    def after(*measured: tuple[float, float]) -> int:
        progress = Progress()
        for accuracy, loss in measured:
            progress = loop._next_epoch(progress, {"validation_accuracy": accuracy, "validation_loss": loss})
        assert progress.epoch == len(measured)
        return progress.best_epoch

    assert after((0.5, 1.0), (0.6, 2.0), (0.5, 0.1)) == 2
    assert after((0.5, 1.0), (0.5, 0.9), (0.5, 0.95)) == 2
    assert after((0.5, 1.0), (0.5, 1.0)) == 1
    assert after((0.0, 5.0)) == 1
    assert after((math.nan, math.nan), (math.nan, math.nan)) == 2


def test_without_validation_the_last_epoch_is_kept(tmp_path: Path, program: str) -> None:
    result = succeed(program, "train", *SMALL, "--validation", 0, "--epochs", 3, "--out", tmp_path / "run")
    assert "80 images to train, 0 to validate" in result.out
    assert result.err.count("validation") == 0
    assert best(tmp_path / "run").progress.best_epoch == 3
    assert bits(best(tmp_path / "run").parameters) == bits(last(tmp_path / "run").parameters)
    assert {row["validation_loss"] for row in history(tmp_path / "run")} == {"nan"}


@pytest.mark.parametrize(("size", "batches"), [(1000, 1), (72, 1), (71, 2), (1, 72)])
def test_any_batch_size_covers_every_image(tmp_path: Path, program: str, size: int, batches: int) -> None:
    flags = ("--limit", 80, "--filters", 1, "--hidden", 0, "--batch-size", size, "--epochs", 2)
    result = succeed(program, "train", *flags, "--out", tmp_path / "run")
    assert f" {batches} {'batch' if batches == 1 else 'batches'} of {size} per epoch\n" in result.out
    steps = last(tmp_path / "run").optimizer_state["fc1.bias.step"]
    assert float(steps) == 2 * batches


class Counting:
    """A backend without parameters: its loss is the mean of the labels, its prediction always 1."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []
        self.steps: list[float] = []

    def train_step(
        self, images: np.ndarray, labels: np.ndarray, lr: float, masks: Any
    ) -> tuple[float, np.ndarray]:
        self.batches.append(images[:, 0, 0, 0].astype(int).tolist())
        assert not masks, "there is no dropout"
        self.steps.append(lr)
        return float(labels.mean()), self.logits(images)

    def logits(self, images: np.ndarray) -> np.ndarray:
        return np.eye(3)[np.ones(len(images), int)]

    def loss(self, scores: np.ndarray, labels: np.ndarray) -> float:
        assert len(scores) == len(labels) <= loop.EVALUATION_BATCH
        return float(labels.mean())

    def parameters(self) -> dict[str, np.ndarray]:
        return {"w": np.zeros(1)}

    def optimizer_state(self) -> dict[str, np.ndarray]:
        return {}


def plan_of(n: int, size: int, epochs: int = 2, seed: int = 0, optimizer: OptimizerConfig | None = None):
    numbers = np.arange(n)
    images = np.broadcast_to(numbers[:, None, None, None], (n, 1, 2, 2)).astype(np.float32)
    split = Split(images, numbers % 3)
    config = TrainConfig(epochs=epochs, batch_size=size, seed=seed, optimization=optimizer or OptimizerConfig())
    return TrainingPlan("counting", PRESETS["tiny"], config, (8, 8), PIXELS["digits"], split, split[:0])


@given(n=st.integers(1, 40), size=st.integers(1, 50), seed=st.integers(0, 9))
@settings(max_examples=25)
def test_each_epoch_visits_every_image_once_in_an_order_set_by_the_seed(
    tmp_path_factory: pytest.TempPathFactory, n: int, size: int, seed: int
) -> None:
    backend, plan = Counting(), plan_of(n, size, seed=seed)
    run = RunFolder(tmp_path_factory.mktemp("counting"))
    loop.train(backend, plan, run, _Silent(), Interrupt(), Alone(), Progress())

    assert plan.batches == math.ceil(n / size) == len(backend.batches) / 2
    halves = backend.batches[: plan.batches], backend.batches[plan.batches :]
    epochs = [[*chain.from_iterable(half)] for half in halves]
    for epoch in epochs:
        assert sorted(epoch) == [*range(n)]
    if n >= 30:  # two equal orders have a probability of 1 / 30!
        assert epochs[0] != epochs[1]
        assert epochs[0] != [*range(n)]
        elsewhere = [batch.tolist() for batch in plan_of(n, size, seed=seed + 1).order(0)]
        assert elsewhere != backend.batches[: plan.batches]
    for row in run.history():
        # The mean over an epoch weights each batch by its size; rounding recovers the integer sum.
        assert round(row["train_loss"] * n) == sum(number % 3 for number in range(n))
        assert row["train_accuracy"] == sum(number % 3 == 1 for number in range(n)) / n


def test_the_step_size_follows_the_schedule() -> None:
    cosine = OptimizerConfig(lr=2.0)
    assert [round(cosine.lr_at(step, 6, 2), 12) for step in (0, 2, 3, 4, 6)] == [2, 1.5, 1, 0.5, 0]
    constant = OptimizerConfig(lr=2.0, schedule="constant")
    assert [constant.lr_at(step, 6, 2) for step in (0, 3, 6)] == [2, 2, 2]
    assert OptimizerConfig().base_lr == 0.002
    assert OptimizerConfig(optimizer="sgd").base_lr == 0.1


def test_every_step_receives_its_scheduled_step_size(tmp_path: Path) -> None:
    optimizer = OptimizerConfig(lr=1.0)
    backend, plan = Counting(), plan_of(10, 3, epochs=2, optimizer=optimizer)
    loop.train(backend, plan, RunFolder(tmp_path), _Silent(), Interrupt(), Alone(), Progress())
    assert backend.steps == [optimizer.lr_at(done, 8, 4) for done in range(8)]


def test_evaluation_covers_all_images_in_batches() -> None:
    n = 2 * loop.EVALUATION_BATCH + 7
    split = plan_of(n, 1).train
    loss, accuracy, answers = loop.evaluate(Counting(), split)
    assert round(loss * n) == int(split.labels.sum())
    assert accuracy == (split.labels == 1).sum() / n
    assert answers.tolist() == [1] * n


class _Silent:
    def batch(self, epoch: int, done: int, loss: float) -> None:
        pass

    def epoch(self, row: dict[str, float]) -> None:
        pass


@pytest.mark.parametrize("optimizer", ["sgd", "adam"])
@pytest.mark.parametrize("lr", ["1e29", "1e30"])
def test_a_run_that_diverges_at_once_saves_nothing(tmp_path: Path, program: str, optimizer: str, lr: str) -> None:
    flags = (*SMALL, "--optimizer", optimizer, "--lr", lr, "--epochs", 3)
    result = call(program, "train", *flags, "--out", tmp_path / "run")
    assert result.code == 2
    message = result.err.splitlines()[-1]
    assert message.startswith(f"{program}: error: training diverged in epoch 1: ")
    assert message.endswith(f"try a smaller --lr than {float(lr):g}")
    assert "Traceback" not in result.err
    assert "Warning" not in result.err
    assert not [*tmp_path.rglob("*.safetensors")]


def test_a_run_that_diverges_later_keeps_the_checkpoint_of_the_epoch_before(tmp_path: Path, program: str) -> None:
    """A weight decay that overshoots makes the weights grow; the first epochs end before they overflow."""
    flags = ("--optimizer", "sgd", "--lr", 10, "--weight-decay", 1, "--schedule", "constant")
    assert call(program, "train", *SMALL, *flags, "--epochs", 60, "--out", tmp_path / "run").code == 2
    kept = last(tmp_path / "run")
    good = kept.progress.epoch
    assert 1 <= good < 59, "the run must diverge after the first epoch"
    succeed(program, "train", *SMALL, *flags, "--epochs", good, "--out", tmp_path / "stopped before")
    assert_same_runs(tmp_path / "run", tmp_path / "stopped before")


def test_parameters_that_the_last_step_made_infinite_are_not_saved(tmp_path: Path, program: str) -> None:
    """With one batch per epoch, the loss is finite but the updated parameters are not."""
    flags = ("--limit", 30, "--epochs", 1, "--batch-size", 30, "--lr", "1e30", "--weight-decay", "1e30")
    result = call(program, "train", *flags, "--optimizer", "sgd", "--out", tmp_path / "run")
    assert result.code == 2
    assert "in step 1 of 1, the updated conv1.weight is no longer finite (" in result.err
    assert not (tmp_path / "run" / "last.safetensors").exists()


@pytest.mark.parametrize("arch", ["simple", "hidden", "tiny", "edge"])
def test_every_preset_learns(tmp_path: Path, program: str, arch: str) -> None:
    flags = ("--arch", arch, "--epochs", 4, "--lr", "0.01")
    result = succeed(program, "train", *flags, "--out", tmp_path / "run")
    rows = RunFolder(tmp_path / "run").history()
    assert rows[-1]["train_loss"] < rows[0]["train_loss"]
    architecture = last(tmp_path / "run").architecture
    assert architecture.loss == ("mse" if arch == "tiny" else "cross_entropy")
    if arch in ("tiny", "edge"):
        assert "only classes 0-1 kept (360 of 1797 images)" in result.out
        assert architecture.classes == 2
    if arch == "tiny":
        assert "images averaged 8x8 -> 4x4" in result.out
    if arch == "edge":
        assert last(tmp_path / "run").parameters["conv1.weight"].tolist() == [[[[1, 0, -1]] * 3]]


def test_limit_takes_the_first_images(tmp_path: Path, program: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []

    def look(backend: object, plan: TrainingPlan, *_: object) -> None:
        seen.append(plan)
        raise UserError("seen enough")

    monkeypatch.setattr("numpy_cnn.common.cli.train.train", look)
    call(program, "train", "--limit", 50, "--validation", 0.2, "--out", tmp_path / "run")
    (plan,) = seen
    taken = np.concatenate([plan.train.images, plan.validation.images])
    assert (len(plan.train), len(plan.validation)) == (40, 10)
    first = digits.load().train[:50].images
    assert sorted(image.tobytes() for image in taken) == sorted(image.tobytes() for image in first)
    test = digits.load().test
    assert not {i.tobytes() for i in taken} & {i.tobytes() for i in test.images}


def test_without_a_terminal_each_epoch_prints_one_line(tmp_path: Path, program: str) -> None:
    result = succeed(program, "train", *SMALL, "--epochs", 3, "--out", tmp_path / "run")
    lines = result.err.splitlines()
    assert [line.split("  ")[0] for line in lines] == ["epoch 1/3", "epoch 2/3", "epoch 3/3"]
    row = RunFolder(tmp_path / "run").history()[0]
    assert f"loss {row['train_loss']:.4f}  accuracy {row['train_accuracy']:.2%}  " in lines[0]
    assert f"validation {row['validation_loss']:.4f}  {row['validation_accuracy']:.2%}" in lines[0]


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize("colour", [True, False])
def test_a_terminal_shows_a_progress_bar(monkeypatch: pytest.MonkeyPatch, colour: bool) -> None:
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())
    monkeypatch.setenv("TERM", "xterm")
    for name in ("NO_COLOR", "FORCE_COLOR", "TTY_COMPATIBLE", "TTY_INTERACTIVE"):
        monkeypatch.delenv(name, raising=False)
    if not colour:
        monkeypatch.setenv("NO_COLOR", "1")
    with training_display(2, 5) as display:
        display.batch(1, 3, 0.5)
        display.epoch(
            {"epoch": 1, "train_loss": 0.5, "train_accuracy": 1, "validation_loss": math.nan, "seconds": 1}
        )
    reported = terminal.getvalue()
    assert "epoch 1/2" in reported
    assert "3/5" in reported
    assert "loss 0.5000" in reported
    assert ("\x1b[3" in reported) == colour


def test_a_finished_epoch_is_not_trained_again(tmp_path: Path, program: str) -> None:
    succeed(program, "train", *SMALL, "--epochs", 2, "--out", tmp_path / "run")
    before = bits(last(tmp_path / "run").parameters)
    result = succeed(program, "train", "--resume", tmp_path / "run")
    assert result.err == f"{tmp_path / 'run'} already has 2 epochs; pass a larger --epochs to train more\n"
    assert "epoch 2 of 2" in result.out or "epoch 1 of 2" in result.out
    assert bits(last(tmp_path / "run").parameters) == before
    assert len(history(tmp_path / "run")) == 2


@pytest.mark.parametrize(
    "content", [None, b"", b"epoch,train_loss\r\n1,", b"\xff\xfe"], ids=["gone", "empty", "cut", "bytes"]
)
def test_a_lost_or_damaged_history_is_restored_from_the_checkpoint(tmp_path: Path, content: bytes | None) -> None:
    succeed("numpy_cnn", "train", *SMALL, "--epochs", 2, "--out", tmp_path / "run")
    file = tmp_path / "run" / "history.csv"
    before = file.read_bytes()
    file.unlink() if content is None else file.write_bytes(content)
    succeed("numpy_cnn", "train", "--resume", tmp_path / "run", "--epochs", 3)
    assert file.read_bytes().startswith(before)
    assert len(history(tmp_path / "run")) == 3
