"""How windows become matrix products. Each file states its trick, the formula behind it, and its source."""
