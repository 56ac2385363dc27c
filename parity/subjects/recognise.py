"""Tell what an author has written, and make an op of it."""

import inspect
from collections.abc import Callable
from typing import Any

from parity.cases.torch_op import Array
from parity.subjects import names
from parity.subjects.arguments import Arguments, parameters_of
from parity.subjects.attribute_errors import place_of
from parity.subjects.implementation import CANONICAL, Implementation
from parity.subjects.layer import of_class
from parity.subjects.optimizer import of_optimizer
from parity.subjects.pair import decline, of_pair
from parity.subjects.statistics import in_torchs_order, statistics_as_options


def adapt(implementation: Any) -> Implementation:
    """Recognise an op, a (forward, backward) pair or a layer class.

    - an op: `y, pullback = f(*arrays, **options)`; a loss may return (loss, gradient)
    - a pair: `y, cache = forward(*arrays, **options)` and `gradients = backward(dy, cache)`
    - a class: `layer = C(*parameters, **options)`, `y = layer.forward(x)`, `gradients = layer.backward(dy)`, and
      what is like it: parameters as attributes, sizes in the constructor, gradients as attributes
    - an optimizer class: `optimizer = C({name: array}, **settings)`, `optimizer.step({name: gradient})`

    Raises:
        TypeError: it is none of these; the message asks for what is missing.
    """
    if isinstance(implementation, Implementation):
        return implementation
    made = _recognised(implementation)
    made.written = implementation
    return made


def _recognised(implementation: Any) -> Implementation:
    if inspect.isclass(implementation):
        steps = callable(getattr(implementation, "step", None)) and not hasattr(implementation, "forward")
        return of_optimizer(implementation) if steps else statistics_as_options(of_class(implementation))
    if (
        isinstance(implementation, (tuple, list))
        and len(implementation) == 2
        and all(map(callable, implementation))
    ):
        pair = of_pair(*implementation)
        return pair if in_torchs_order(implementation[0]) else statistics_as_options(pair)
    if callable(implementation):
        return _of_function(implementation)
    raise TypeError(
        "an implementation is a function that returns (y, pullback), a pair (forward, backward), or a class with "
        f"forward and backward; got {type(implementation).__name__}"
    )


def _of_function(function: Callable[..., Any]) -> Implementation:
    parameters = parameters_of(function)
    takes_all = parameters is None or any(p.kind is p.VAR_KEYWORD for p in parameters)
    known = frozenset(p.name for p in parameters or ())
    variadic = parameters is not None and any(p.kind is p.VAR_POSITIONAL for p in parameters)

    def op(*arrays: Array | None, **options: Any) -> Any:
        if takes_all or options.keys() <= known:
            return function(*arrays, **options)
        arguments = Arguments(options, names.sizes(CANONICAL.get() or arrays, options), made.fixed)
        keywords = arguments.bind(function, 0 if variadic else len(arrays))
        if not arguments.handed_a_dict:
            decline(made, arguments)
        returned = function(*arrays, **keywords)
        if arguments.handed_a_dict:
            decline(made, arguments)
        return returned

    made = Implementation(op, forward_place=place_of(function))
    return made if in_torchs_order(function) else statistics_as_options(made)
