"""Ctrl-C as a request that the loop looks at between two batches, when everything is consistent."""

import signal
from types import FrameType, TracebackType


class Interrupt:
    """As a context: the first Ctrl-C sets `requested`, the second one raises KeyboardInterrupt."""

    def __init__(self) -> None:
        self.requested = False

    def __enter__(self) -> "Interrupt":
        self._before = signal.signal(signal.SIGINT, self._handle)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.signal(signal.SIGINT, self._before)

    def _handle(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002  # what a handler is called with
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True
