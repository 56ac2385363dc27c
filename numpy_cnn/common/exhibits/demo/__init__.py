"""The draw-a-digit page: a local server with each backend in a separate process."""
