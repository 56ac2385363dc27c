"""How far rounding can carry a result: derivations and running error analysis."""
