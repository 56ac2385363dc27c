"""The one door: what commands, pytest, notebooks and scripts call."""
