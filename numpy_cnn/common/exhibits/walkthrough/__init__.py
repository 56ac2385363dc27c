"""One picture through the network and back: traced, told, drawn, and put on a page."""
