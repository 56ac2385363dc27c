"""Running a row through its lanes: Hypothesis, fuzzing, sandbox, classification."""
