"""Activations with one mistake."""

from functools import partial

import numpy as np

from parity.exam import stateful
from parity.exam.bug import plant
from parity.exam.call import leftover
from parity.exam.changes import both, gradient, options, output, result

relu = partial(plant, "relu")

# fmt: off
relu("relu-passes-all", "relu-passes-all", gradient(lambda dy, _: dy.copy()), "dx")
relu("relu-slope-at-zero", "relu-at-zero", gradient(lambda dy, c: np.where(c.x < 0, 0, dy)), "dx",
     "The gradient passes at 0 too: >= instead of >.")
relu("relu-half-at-zero", "relu-half-at-zero",
     gradient(lambda dy, c: np.where(c.x == 0, 0.5, ~(c.x < 0)) * dy), "dx")
relu("relu-mask-of-upstream", "mask-of-upstream", gradient(lambda dy, _: np.where(dy > 0, dy, 0)), "dx",
     "The gradient itself is rectified: the mask is taken from dy instead of x.")
relu("relu-mask-inverted", "mask-complement", gradient(lambda dy, c: np.where(c.x <= 0, dy, 0)), "dx",
     "The mask is inverted: the gradient passes only where x is not positive.")
relu("relu-times-output", "multiplies-by-output", gradient(lambda dy, c: c.y * dy), "dx",
     "dy is multiplied by the output instead of the mask.")
relu("relu-nan-dead", "nan-blocks", gradient(lambda dy, c: np.where(c.x > 0, dy, 0)), "dx",
     "NaN blocks the gradient because NaN > 0 is false; torch passes dy.")
relu("relu-mask-times-infinity", "zero-times-infinity",
     result(lambda g, c: np.where(np.isinf(c.x) & (c.x < 0), np.nan, g)), "dx",
     "The mask is multiplied in: where the input is minus infinity, the gradient is NaN.")
relu("relu-mask-times-infinite-upstream", "zero-times-infinity", gradient(lambda dy, c: ~(c.x <= 0) * dy), "dx",
     "The mask is multiplied in instead of selecting: where a unit is off, an infinite dy becomes NaN.")
relu("relu-leaky", "leaky",
     both(output(lambda c: np.where(c.x > 0, c.x, c.x.dtype.type(0.01) * c.x)),
          gradient(lambda dy, c: np.where(c.x > 0, dy, dy.dtype.type(0.01) * dy))), slope=0.01)
relu("relu-times-mask", "multiplies-by-mask", output(lambda c: c.x * (c.x > 0)), "y",
     "The output is x times the mask: minus infinity times 0 is NaN.")
relu("relu-nan-swallowed", "nan-swallowed", output(lambda c: np.where(c.x > 0, c.x, 0)), "y")
relu("relu-absolute", "absolute", output(lambda c: np.abs(c.x)), "y")
relu("relu-capped-at-six", "capped", output(lambda c: np.minimum(c.y, 6)), "y", limit=6)
relu("relu-in-place", "mutates-input", stateful.overwriting("x", lambda x, _: np.where(x < 0, 0, x)),
     description="The caller's array is rectified in place.")
relu("relu-mask-shared", "shared-state", stateful.of_last_call(),
     description="The mask is kept at module level, so a layer used twice in a network shares it.")
relu("relu-hands-out-its-buffer", "hands-out-cache", stateful.by_call(stateful.handed_out), "dx")
relu("relu-tail-of-the-vector-loop", "tail-lost", output(lambda c: np.where(leftover(c.x), c.x, c.y)), "y",
     "A loop over blocks of eight elements passes the remainder unchanged.")

plant("silu", "silu-of-gelu", "sigmoid-approximation",
      output(lambda c: c.x / (1 + np.exp(-c.x.dtype.type(1.702) * c.x))), "y")
plant("elu", "elu-alpha-in-the-exponent", "alpha-in-exponent",
      output(lambda c: np.where(c.x > 0, c.x, np.expm1(np.minimum(c.x, 0) * c.options["alpha"]))), "y")
plant("softplus", "softplus-threshold-of-x", "threshold-of-input",
      options(lambda given, _: given | {"threshold": given["threshold"] * given["beta"]}))
plant("softplus", "softplus-not-divided", "division-by-beta-lost", result(lambda y, c: y * c.options["beta"]), "y")
plant("softplus", "softplus-dx-by-complement", "complement-for-sigmoid",
      gradient(lambda dy, c: np.where(
          c.x * c.options["beta"] > c.options["threshold"], dy,
          (dy / (1 + np.exp(np.minimum(c.options["beta"] * c.x, 80)))).astype(c.x.dtype))), "dx")
plant("hardswish", "hardswish-dx-zero-above", "upper-side-lost",
      gradient(lambda dy, c: np.where(c.x < 3, c.pullback(dy)[0], 0).astype(dy.dtype)), "dx")
plant("hardswish", "hardswish-dx-of-the-gate", "inner-derivative-lost",
      gradient(lambda dy, c: dy * np.clip(c.x / 6 + 0.5, 0, 1)), "dx")
# fmt: on
