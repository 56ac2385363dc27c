"""Code shared by both backends."""
