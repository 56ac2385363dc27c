"""The training loop and what it writes: run folder, checkpoints, progress, plots."""
