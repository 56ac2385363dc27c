"""Ctrl-C and termination as a request that the loop checks between batches, when its state is consistent."""

import signal
import time
from types import FrameType, TracebackType

# Ctrl-C is often pressed twice, and shells and `make` forward it: signals this close together are one request.
PATIENCE = 2.0  # seconds

SIGNALS = tuple(getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name))


class Interrupt:
    """A context in which SIGINT (Ctrl-C), SIGTERM and SIGHUP set `requested` to their number; 0 for no request.

    Another signal after `PATIENCE` raises KeyboardInterrupt. SIGHUP stays ignored if it was, as nohup requires.
    After a request the handlers remain, because a second signal must not interrupt the message or the exit.
    """

    _at = float("-inf")

    def __init__(self) -> None:
        self.requested: int = 0

    def __enter__(self) -> "Interrupt":
        self._before = {
            number: signal.signal(number, self._handle)
            for number in SIGNALS
            if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN
        }
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self.requested:
            for number, handler in self._before.items():
                signal.signal(number, handler)

    def _handle(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002  # the signature of a handler
        if not self.requested:
            self.requested, self._at = signum, time.monotonic()
        elif time.monotonic() - self._at > PATIENCE:
            raise KeyboardInterrupt
