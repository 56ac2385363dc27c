"""What the exhibits need from the NumPy backend: traces, inspections, and a network without a convolution."""
