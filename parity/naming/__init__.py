"""What a wrong result is, in a sentence: found by reproducing it, never guessed."""

from parity.naming.search import Explained, explain

__all__ = ["Explained", "explain"]
