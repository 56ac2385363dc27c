"""Cases: what one is, how it is drawn, restricted and filled with numbers."""
