"""ReLU with one mistake."""

from functools import partial

import numpy as np

from parity.exam import stateful
from parity.exam.bug import plant
from parity.exam.call import leftover
from parity.exam.changes import both, gradient, output, result

relu = partial(plant, "relu")

# fmt: off
relu("relu-passes-all", "relu-passes-all", gradient(lambda dy, _: dy.copy()), "dx")
relu("relu-slope-at-zero", "relu-at-zero", gradient(lambda dy, c: np.where(c.x < 0, 0, dy)), "dx",
     "The gradient passes at 0 as well: >= where it should be >.")
relu("relu-half-at-zero", "relu-half-at-zero",
     gradient(lambda dy, c: np.where(c.x == 0, 0.5, ~(c.x < 0)) * dy), "dx")
relu("relu-mask-of-upstream", "mask-of-upstream", gradient(lambda dy, _: np.where(dy > 0, dy, 0)), "dx",
     "The gradient is rectified itself: the mask is taken from dy instead of x.")
relu("relu-mask-inverted", "mask-complement", gradient(lambda dy, c: np.where(c.x <= 0, dy, 0)), "dx",
     "The gradient passes where it should not, and nowhere else.")
relu("relu-times-output", "multiplies-by-output", gradient(lambda dy, c: c.y * dy), "dx",
     "dy is multiplied by the output instead of its sign.")
relu("relu-nan-dead", "nan-blocks", gradient(lambda dy, c: np.where(c.x > 0, dy, 0)), "dx",
     "NaN counts as dead in the gradient: NaN > 0 is false, and torch lets dy through.")
relu("relu-mask-times-infinity", "", result(lambda g, c: np.where(np.isinf(c.x) & (c.x < 0), np.nan, g)), "dx",
     "The mask multiplies before it selects: a dead unit with an infinite input makes NaN of its gradient.")
relu("relu-mask-times-infinite-upstream", "", gradient(lambda dy, c: ~(c.x <= 0) * dy), "dx",
     "The mask multiplies dy where it should select: at a dead unit an infinite dy becomes NaN.")
relu("relu-leaky", "leaky",
     both(output(lambda c: np.where(c.x > 0, c.x, c.x.dtype.type(0.01) * c.x)),
          gradient(lambda dy, c: np.where(c.x > 0, dy, dy.dtype.type(0.01) * dy))), slope=0.01)
relu("relu-times-mask", "multiplies-by-mask", output(lambda c: c.x * (c.x > 0)), "y",
     "The output is the mask times x: minus infinity times 0 is NaN.")
relu("relu-nan-swallowed", "nan-swallowed", output(lambda c: np.where(c.x > 0, c.x, 0)), "y")
relu("relu-absolute", "absolute", output(lambda c: np.abs(c.x)), "y")
relu("relu-capped-at-six", "capped", output(lambda c: np.minimum(c.y, 6)), "y", limit=6)
relu("relu-in-place", "mutates-input", stateful.overwriting("x", lambda x, _: np.where(x < 0, 0, x)),
     says="The caller's array is rectified in place.")
relu("relu-mask-shared", "shared-state", stateful.of_last_call(),
     says="The mask is kept at module level, and a layer used twice in one network shares it.")
relu("relu-hands-out-its-buffer", "hands-out-cache", stateful.by_call(stateful.handed_out), "dx")
relu("relu-tail-of-the-vector-loop", "", output(lambda c: np.where(leftover(c.x), c.x, c.y)), "y",
     "Eight numbers at a time are rectified; what is left over passes as it is.")
# fmt: on
