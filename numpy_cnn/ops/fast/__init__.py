"""How windows become matrix products. Each file names its trick, the formula it rests on, and its source."""
