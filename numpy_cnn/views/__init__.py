"""What the exhibits show of the NumPy backend: traces, inspections, a network without a convolution."""
