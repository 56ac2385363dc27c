"""The time limit of a call, for modules that import neither NumPy nor torch, too."""

TIME_LIMIT = 30.0  # seconds per call; generous because the first call may run a compiler
