"""What a wrong result is, in a sentence: found by reproducing it, never guessed."""

from parity.naming.search import explain

__all__ = ["explain"]
