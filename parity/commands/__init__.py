"""The commands of `python -m parity`, one per file; torch is imported only when a command runs."""
