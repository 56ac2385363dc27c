"""Makes Hypothesis begin with a given example."""

from collections.abc import Iterable, Sequence

from hypothesis.database import ExampleDatabase

from parity.cases.primitives import Choice


class SingleExample(ExampleDatabase):
    """A database with one example, for any test."""

    def __init__(self, choices: Sequence[Choice]) -> None:
        super().__init__()
        self.choices = choices

    def fetch(self, key: bytes) -> Iterable[bytes]:  # noqa: ARG002  # there is only one
        """The example, in Hypothesis' encoding."""
        try:
            from hypothesis.database import choices_to_bytes
        except ImportError:  # with another version of Hypothesis, it searches for a failure itself
            return
        # One choice more than needed: Hypothesis does not shrink an example that has exactly the choices it needs.
        yield choices_to_bytes((*self.choices, 0))

    def save(self, key: bytes, value: bytes) -> None:
        """Ignore it: failures are replayed from parity's own JSON."""

    def delete(self, key: bytes, value: bytes) -> None:
        """Ignore it."""
