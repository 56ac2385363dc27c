"""The time limit of a call, in a module that imports neither NumPy nor torch."""

TIME_LIMIT = 30.0  # seconds per call; generous because the first call may run a compiler
