"""A wrong result described in a sentence, found by reproducing the result."""

from parity.naming.observation import Observation
from parity.naming.search import explain

__all__ = ["Observation", "explain"]
