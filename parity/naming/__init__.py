"""Finds the mistake behind a wrong result by reproducing the result, and describes it in a sentence."""

from parity.naming.observation import Observation
from parity.naming.search import explain

__all__ = ["Observation", "explain"]
