"""Calls a backward according to its signature: (dy), (dy, cache), (cache, dy), (dy, x, w, b, stride), (), …"""

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any

from parity.cases.op import Array
from parity.subjects import names
from parity.subjects.arguments import Arguments, parameters_of
from parity.subjects.names import plain

NO_CACHE = object()


def takes_upstream(backward: Callable[..., Any], skip: int = 0, forward: Collection[str] = ()) -> bool:
    """Whether a backward takes an upstream gradient after `skip` parameters (self); that of a loss may not.

    Args:
        backward: the function.
        skip: parameters to skip.
        forward: the plain names of the forward's parameters, which mean the same here.
    """
    parameters = parameters_of(backward)
    return parameters is None or any(
        _is_upstream(p) or (_is_unknown(p) and plain(p.name) not in forward) or p.kind is p.VAR_POSITIONAL
        for p in parameters[skip:]
    )


def is_derivative(forward: Callable[..., Any], backward: Callable[..., Any], skip: int = 0) -> bool:
    """Whether a backward is the derivative of a function of one array, such as sigmoid_prime(z): dx = dy·f′(x)."""
    own = (parameters_of(forward) or ())[skip:]
    arrays = [p for p in own if p.default is p.empty and not names.is_option(p.name)]
    parameters = (parameters_of(backward) or ())[skip:]
    return len(arrays) == 1 and len(parameters) >= 1 and not takes_upstream(backward, skip, [plain(own[0].name)])


def takes_cache(backward: Callable[..., Any]) -> bool:
    """Whether a backward takes what its forward stored, by the name of its parameter."""
    return any(plain(p.name) in names.CACHES for p in parameters_of(backward) or ())


def upstream_is_optional(backward: Callable[..., Any]) -> bool:
    """Whether the upstream gradient has a default, as in `backward(self, dout=1)`."""
    parameters = parameters_of(backward) or ()
    return any(_is_named_upstream(p) and p.default is not p.empty for p in parameters)


def call(
    backward: Callable[..., Any],
    dy: Array,
    cache: Any,
    arrays: tuple[Array | None, ...],
    y: Any,
    arguments: Arguments,
    forward: Mapping[str, Any] | None = None,
) -> Any:
    """Call a backward with arguments by its parameter names; the first unknown one is dy, the next the cache.

    Args:
        backward: the function.
        dy: the upstream gradient.
        cache: what the forward returned besides y; NO_CACHE if nothing.
        arrays: the arguments in torch's order.
        y: the output.
        arguments: the options.
        forward: the forward's arguments by plain name: a parameter of the same name is given the same.
    """
    forward = {name: value for name, value in (forward or {}).items() if name not in names.UPSTREAMS}
    parameters = parameters_of(backward)
    if parameters is None or any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return backward(dy) if cache is NO_CACHE else backward(dy, cache)
    known: dict[str, Any] = {}
    required = [p for p in parameters if p.default is p.empty and p.kind is not p.VAR_KEYWORD]
    upstream = [p.name for p in parameters if _is_upstream(p)][:1]
    unknown = [p.name for p in required if _is_unknown(p) and p.name not in upstream]
    unknown = [name for name in unknown if plain(name) not in forward]
    cached = [p.name for p in parameters if plain(p.name) in names.CACHES][:1]
    if not upstream:
        upstream, unknown = unknown[:1], unknown[1:]
    if not cached and cache is not NO_CACHE:
        cached, unknown = unknown[:1], unknown[1:]
    if not cached and cache is not NO_CACHE and len(required) == 2 and len(upstream) == 1:
        cached = [p.name for p in required if p.name not in upstream]
    known |= dict.fromkeys(upstream, dy) | dict.fromkeys(cached, None if cache is NO_CACHE else cache)
    given = {plain(name): value for name, value in known.items()}
    for p in parameters:
        short = plain(p.name)
        if short in given:
            continue
        if short in forward and short not in names.WEIGHTS | names.BIASES:
            given[short] = forward[short]
            continue
        for place, stems in enumerate((names.INPUTS, names.WEIGHT_ATTRIBUTES, names.BIAS_ATTRIBUTES)):
            if short in stems and place < len(arrays):
                given[short] = arrays[place]
        if short in names.OUTPUTS and not (short == "out" and p.default is None):  # not NumPy's out=None
            given[short] = y
        if short in names.TARGETS and len(arrays) > 1:
            given[short] = arrays[1]
    keywords = arguments.bind(backward, 0, given)
    positional = [keywords.pop(p.name) for p in parameters if p.kind is p.POSITIONAL_ONLY and p.name in keywords]
    return backward(*positional, **keywords)


def _is_named_upstream(p: inspect.Parameter) -> bool:
    """Whether a parameter has a name of upstream gradients; a `delta` with a default is Huber's."""
    short = plain(p.name)
    return short in names.UPSTREAMS and not (short == "delta" and p.default is not p.empty)


def _is_upstream(p: inspect.Parameter) -> bool:
    short = plain(p.name)
    if _is_named_upstream(p):
        return True
    looks = short.startswith(("grad", "dl", "upstream", "delta")) or short.endswith(("grad", "gradient"))
    return looks and p.default is p.empty and not names.is_option(p.name)


def _is_unknown(p: inspect.Parameter) -> bool:
    short = plain(p.name)
    known = names.CACHES | names.INPUTS | names.WEIGHTS | names.BIASES | names.OUTPUTS | names.TARGETS
    positional = p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
    return positional and p.default is p.empty and short not in known and not names.is_option(p.name)
