"""The commands of `python -m parity`, one a file; torch is imported when one of them runs."""
