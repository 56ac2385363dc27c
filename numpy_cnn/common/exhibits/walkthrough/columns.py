"""Positions of the stages on the sheet, in inches: a stage and its gradient share a column."""

INPUT, KERNEL, MAP, RELU, POOL = 0.5, 3.75, 5.95, 9.15, 12.35  # left edges
SIDE, SMALL = 2.45, 1.35  # of an image, and of the kernel
WIDTH = POOL + SIDE + 0.5  # of the sheet
