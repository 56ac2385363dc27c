"""A row on its way through its lanes: Hypothesis, fuzzing, sandbox, classification."""
