"""Four ways to compare, without hand-picked tolerances.

exact      small integers: every sum is exact in any order, so both sides agree bit for bit
bound      real numbers: each side within its derived bound of a float64 referee, which decides who is wrong
structure  pure pullbacks, unmodified inputs, unusual memory layouts, empty batches, dtypes
special    ties, zeros of both signs, NaN and ±inf, as in torch
"""
