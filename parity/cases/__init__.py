"""Cases: their definition, and how they are drawn, restricted and filled with numbers."""
