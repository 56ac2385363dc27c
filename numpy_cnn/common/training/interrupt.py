"""Ctrl-C as a request that the loop looks at between two batches, when everything is consistent."""

import signal
import time
from types import FrameType, TracebackType

# Impatient fingers, and shells and `make` that pass the signal on, send it twice; so soon, both are one request.
PATIENCE = 2.0  # seconds


class Interrupt:
    """As a context: Ctrl-C sets `requested`; pressed again after `PATIENCE`, it raises KeyboardInterrupt.

    Once requested this lasts beyond the context: the second press must not cut off the message or the exit.
    """

    _at = float("-inf")

    def __init__(self) -> None:
        self.requested = False

    def __enter__(self) -> "Interrupt":
        self._before = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.requested:
            signal.signal(signal.SIGINT, self._before)

    def _handle(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002  # what a handler is called with
        if not self.requested:
            self.requested, self._at = True, time.monotonic()
        elif time.monotonic() - self._at > PATIENCE:
            raise KeyboardInterrupt
