"""The draw-a-digit page: one local server, and each backend in a process of its own behind it."""
