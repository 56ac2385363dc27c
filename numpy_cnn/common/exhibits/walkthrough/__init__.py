"""One picture through the network and back: traced, printed, drawn, and shown on a page."""
