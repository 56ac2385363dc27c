"""Makes the cases of a seed independent of the modules that the process has imported.

Hypothesis draws one integer in twenty from a list of constants, to which recent releases add those in the source
of every imported module outside of site-packages. The cases would depend on how parity is installed, on the
constants in the implementation's file, and on what ran before in the same process.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

try:
    from hypothesis.internal.cache import LRUCache
    from hypothesis.internal.conjecture import providers
except ImportError:  # an older release, which has no constants
    _module: dict[str, Any] = {}
else:
    _module = vars(providers)

_replaced: dict[str, Any] = {}
if {"_get_local_constants", "CONSTANTS_CACHE", "GLOBAL_CONSTANTS"} <= _module.keys():
    _none = type(_module["GLOBAL_CONSTANTS"])()
    # A cache of our own: Hypothesis' may hold constants of modules, found by the user's own tests.
    _replaced = {"_get_local_constants": lambda: _none, "CONSTANTS_CACHE": LRUCache(1024)}


@contextmanager
def same_draws() -> Iterator[None]:
    """Let Hypothesis draw from its own constants only."""
    before = {name: _module[name] for name in _replaced}
    _module.update(_replaced)
    try:
        yield
    finally:
        _module.update(before)
