"""The demo in a separate process, as a user runs it, for the tests of its responses and of its page."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import re
import signal
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from programs import HANG, start
from safetensors.numpy import load

from numpy_cnn.common.exhibits.demo.drawing import GRID


@dataclass(frozen=True)
class Served:
    """A running demo."""

    port: int
    process_id: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/"

    def ask(
        self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None
    ) -> tuple[int, dict[str, str], bytes]:
        """Send a request; return the status, the headers in lower case, and the body."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=HANG)
        try:
            connection.request(method, path, body, headers or {})
            response = connection.getresponse()
            return response.status, {k.lower(): v for k, v in response.getheaders()}, response.read()
        finally:
            connection.close()

    def look(self, ink: np.ndarray, **options: object) -> dict[str, np.ndarray]:
        """Send a drawing; return the decoded response."""
        body = json.dumps({"ink": base64.b64encode(ink.tobytes()).decode(), **options}).encode()
        status, _, answer = self.ask("POST", "/look", body, {"Content-Type": "application/json"})
        assert status == 200, answer
        return load(answer)


@contextlib.contextmanager
def serving(checkpoint: Path, folder: Path, program: str = "numpy_cnn") -> Iterator[Served]:
    """Run `python -m PROGRAM demo CHECKPOINT` on a free port; end it with Ctrl-C and check its exit code."""
    process = start("-m", program, "demo", checkpoint, "--port", 0, cwd=folder)
    reported = ""
    try:
        first = process.stdout.readline()
        match = re.fullmatch(r"draw a digit at http://127\.0\.0\.1:(\d+)/ \(Ctrl-C to stop\)\n", first)
        assert match, first + process.stderr.read()
        yield Served(int(match[1]), process.pid)
        process.send_signal(signal.SIGINT)
        out, reported = process.communicate(timeout=HANG)
        assert (process.returncode, out, reported) == (0, "", "")
    finally:
        process.kill()
        process.communicate()


def seven() -> np.ndarray:
    """A drawn 7, uint8 (GRID, GRID): a horizontal bar and a slanted stroke."""
    ink = np.zeros((GRID, GRID), np.uint8)
    ink[24:33, 32:80] = 255
    for row in range(28, 92):
        at = 74 - (row - 28) // 2
        ink[row, at - 5 : at + 5] = 255
    return ink


def zero() -> np.ndarray:
    """A drawn 0, uint8 (GRID, GRID): a ring that is taller than wide."""
    down, right = np.mgrid[:GRID, :GRID] - GRID / 2
    distance = np.hypot(down / 1.4, right)
    return np.where((distance > 20) & (distance < 30), 255, 0).astype(np.uint8)
