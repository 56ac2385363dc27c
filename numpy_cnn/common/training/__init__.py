"""The training loop and its outputs: run folder, checkpoints, progress, plots."""
