"""The Python interface: commands, pytest, notebooks and scripts all use it."""
