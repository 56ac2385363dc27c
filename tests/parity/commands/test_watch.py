"""`watch` checks a layer again whenever its file is saved."""

import re
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from queue import Empty, Queue
from threading import Thread

import pytest
from forked import Forked
from programs import start

from parity.__main__ import main
from parity.commands.loading import source_of
from parity.commands.watch import Followed, Watch
from parity.report.saved import saved_in

RIGHT = """
from numpy_cnn import ops

def my_linear(x, w, b=None):
    return ops.linear(x, w, b)
"""
WRONG = (
    RIGHT
    + """
right = my_linear

def my_linear(x, w, b=None):
    y, pullback = right(x, w, b)
    return y, lambda dy: (-pullback(dy)[0], *pullback(dy)[1:])
"""
)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    file = tmp_path / "my_layers.py"
    file.write_text(RIGHT)
    return file


def test_the_first_round(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["watch", "my_layers.py:my_linear", "--rounds", "1"]) == 0
    assert re.search(r"agrees on \d+ cases \(\d\.\d\d s\)", capsys.readouterr().out)
    file.write_text(WRONG)
    assert main(["watch", "my_layers.py:my_linear", "--rounds", "1"]) == 1
    out = capsys.readouterr().out
    assert "DISAGREES: grad_input wrong" in out
    assert "linear: wrong: grad_input in the exact lane" in out
    assert len(saved_in()) == 1
    assert main(["watch", "my_layers.py:my_linear", "--rounds", "1"]) == 1
    out = capsys.readouterr().out
    assert out.startswith("still failing: exact linear(")  # the saved failure is replayed first
    assert "1 saved failure still failing" in out


def test_before_a_file_can_be_imported_its_folder_is_watched(file: Path) -> None:
    followed = Followed(source_of("my_layers.py:my_linear"))
    followed.take_times()
    assert not followed.changed()
    (file.parent / "helper.py").write_text("sign = -1\n")
    assert followed.changed()


def test_several_saved_failures_are_counted(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    another = WRONG.replace(
        "-pullback(dy)[0], *pullback(dy)[1:]", "pullback(dy)[0], -pullback(dy)[1], pullback(dy)[2]"
    )
    both = WRONG.replace("*pullback(dy)[1:]", "-pullback(dy)[1], pullback(dy)[2]")
    for layer in (WRONG, another, both):
        file.write_text(layer)
        assert main(["watch", "my_layers.py:my_linear", "--rounds", "1"]) == 1
    assert "DISAGREES: 2 saved failures still failing" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["gone.py:my_linear"], "no such file gone.py"),
        (["my_layers.py:layer"], "does not name the row"),
        (["my_layers.py:my_linear", "--op", "conv9d"], "no row 'conv9d'"),
    ],
)
def test_mistakes(arguments: list[str], message: str, file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["watch", *arguments]) == 2
    assert message in capsys.readouterr().err


HELPED = """
from helper import sign
from numpy_cnn import ops

def my_linear(x, w, b=None):
    y, pullback = ops.linear(x, w, b)
    return y, lambda dy: (sign * pullback(dy)[0], *pullback(dy)[1:])
"""


def verdicts(capsys: pytest.CaptureFixture[str]) -> list[str]:
    out = capsys.readouterr().out
    return re.findall(r"^\d\d:\d\d:\d\d (\w+)", out, re.MULTILINE)


def test_an_imported_helper_that_is_fixed_is_noticed(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(HELPED)
    helper = file.parent / "helper.py"
    helper.write_text("sign = -1\n")

    def events(followed: Followed) -> Iterator[None]:
        assert verdicts(capsys) == ["DISAGREES"]
        yield None  # the system reports an unrelated change
        assert verdicts(capsys) == []
        helper.write_text("sign = +1\n")
        yield None
        assert verdicts(capsys) == ["agrees"]
        helper.write_text("sign = +\n")
        yield None
        assert verdicts(capsys) == ["ERROR"]
        helper.write_text("sign = -1\n")
        yield None

    watch = Watch("my_layers.py:my_linear", rounds=4)
    how = watch.rerun_flags()
    assert not watch.rounds_of("linear", how, Followed(source_of(watch.impl)), events)
    assert verdicts(capsys) == ["DISAGREES"]
    assert "helper" not in sys.modules


@pytest.fixture
def watching(file: Path) -> Iterator[Forked]:
    process = start("-m", "parity", "watch", "my_layers.py:my_linear", cwd=file.parent, PYTHONUNBUFFERED="1")
    yield process
    process.kill()
    process.wait()
    process.stdout.close()
    process.stderr.close()


LIMIT = 60  # seconds to wait for the next line, with a wide margin for a busy machine


def test_saves_a_syntax_error_and_ctrl_c(file: Path, watching: Forked) -> None:
    lines: Queue[str] = Queue()
    Thread(target=lambda: [lines.put(line) for line in watching.stdout], daemon=True).start()

    def line_with(text: str) -> None:
        seen = [""]
        while text not in seen[-1]:
            try:
                seen.append(lines.get(timeout=LIMIT))
            except Empty:
                pytest.fail(f"no {text!r} within {LIMIT} s, but {seen}")

    line_with("agrees on")
    file.write_text(RIGHT + "def broken(:\n")
    line_with("my_layers.py:6: ")
    file.write_text(WRONG)
    line_with("DISAGREES: grad_input wrong")
    file.write_text(RIGHT)
    line_with("agrees on")
    watching.send_signal(signal.SIGINT)
    assert watching.wait(timeout=LIMIT) == 130
