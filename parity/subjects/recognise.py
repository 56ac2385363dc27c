"""Recognises the form of an implementation and adapts it to an op."""

import functools
import inspect
import itertools
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from parity.subjects import autograd, blobs, custom_ops, frameworks, nodes, parameter_lists, tensor_gradients
from parity.subjects.arguments import parameters_of
from parity.subjects.attribute_errors import place_of
from parity.subjects.implementation import Implementation
from parity.subjects.layer import FORWARDS, backward_name, forward_name, method_named, of_class
from parity.subjects.names import plain, words
from parity.subjects.optimizer import (
    is_closure,
    is_rule,
    is_update,
    of_closure,
    of_optimizer,
    of_rule,
    of_update,
    steps,
)
from parity.subjects.optimizer_pair import makes_init_and_update, of_init_and_update
from parity.subjects.pair import of_function, of_pair
from parity.subjects.statistics import in_torchs_order, statistics_as_options

DERIVATIVES = (
    "{}_backward", "{}_prime", "{}_derivative", "{}_deriv", "{}_gradient", "{}_grad", "{}_der", "d{}", "d_{}",
    "grad_{}", "{}_bwd", "{}_vjp",
)  # fmt: skip

# Attributes of a function that hold its backward or its derivative.
ATTACHED = ("backward", "derivative", "prime", "deriv", "gradient", "grad", "vjp", "df")
# What the names of a forward and of its backward contain.
BESIDE = (("forward", "backward"), ("fwd", "bwd"), ("fprop", "bprop"), ("propagate", "backpropagate"))
# Flags by which a function returns its derivative.
FLAGS = words("deriv derivative derive prime grad gradient diff backward dx d")
# Forms that only one framework has, tried in this order: (is it this form?, adapt it).
Form = tuple[Callable[[Any], bool], Callable[[Any], Implementation]]
CLASS_FORMS: tuple[Form, ...] = (
    (nodes.computes, nodes.of_computed),
    (nodes.indexes_gradients, nodes.of_indexed_gradients),
    (blobs.takes_variables, blobs.of_variables),
    (blobs.takes_blobs, blobs.of_blobs),
    (custom_ops.takes_requests, custom_ops.of_requests),
    (frameworks.takes_context, frameworks.of_context),
    (tensor_gradients.keeps_gradients_in_tensors, tensor_gradients.of_tensor_gradients),
)
FUNCTION_FORMS: tuple[Form, ...] = (
    (is_rule, of_rule),
    (is_update, of_update),
    (is_closure, of_closure),
    (makes_init_and_update, of_init_and_update),
    (frameworks.takes_model, frameworks.of_model),
    (parameter_lists.takes_parameters, parameter_lists.of_parameters),
    (frameworks.makes_a_pair, frameworks.of_maker),
)


def adapt(implementation: Any) -> Implementation:
    """Adapt an op, a (forward, backward) pair, a layer class, an optimizer, or code that torch differentiates.

    - an op: `y, pullback = f(*arrays, **options)`; a loss may return (loss, gradient)
    - a pair: `y, cache = forward(*arrays, **options)` and `gradients = backward(dy, cache)`; for `conv_forward`
      alone, the `conv_backward` of its module is used
    - a class: `layer = C(*parameters, **options)`, `y = layer.forward(x)`, `gradients = layer.backward(dy)`, and
      variants: parameters as attributes, sizes in the constructor, gradients as attributes, static methods
    - an optimizer: `C({name: array}, **settings)` with `step({name: gradient})`, over lists as well, with
      `update(params, grads)`, or a rule `w, config = rule(w, dw, config)`
    - a torch.nn.Module (class or instance), a torch.autograd.Function, a function of tensors

    Its memory layouts and restrictions are determined by calling it: see `parity.running.probe`.

    Raises:
        TypeError: it is none of these; the message states what is missing.
    """
    if isinstance(implementation, Implementation):
        return implementation
    return replace(_recognised(implementation), written=implementation)


def _recognised(implementation: Any) -> Implementation:
    if isinstance(implementation, functools.partial) and inspect.isclass(implementation.func):
        implementation = _bound_class(implementation)
    if inspect.isclass(implementation):
        return _of_class(implementation)
    if isinstance(implementation, torch.nn.Module):
        return statistics_as_options(autograd.of_instance(implementation))
    if (
        isinstance(implementation, (tuple, list))
        and len(implementation) == 2
        and all(map(callable, implementation))
    ):
        return _of_pair(*implementation)
    if callable(implementation):
        return _of_callable(implementation)
    raise TypeError(
        "an implementation is a function that returns (y, pullback), a pair (forward, backward), or a class with "
        f"forward and backward; got {_described(implementation)}"
    )


def _described(value: Any) -> str:
    """What a value that is no implementation is, and what to pass instead."""
    kind = type(value).__name__
    if isinstance(value, str):
        return f"the text {value!r}: pass the object itself, or --impl {value} on the command line"
    if inspect.ismodule(value):
        return f"the module {value.__name__}: pass one of its functions or classes"
    if isinstance(value, (tuple, list)):
        others = [repr(part) for part in value if not callable(part)]
        return f"a {kind} of {len(value)}" + (f", of which {', '.join(others)} cannot be called" if others else "")
    if isinstance(value, (int, float, dict)):
        return repr(value)
    if method_named(value.__class__, FORWARDS) is not None:
        return f"an instance of {kind}: pass the class {kind}"
    return f"an instance of {kind}, which has no forward"


def _bound_class(bound: Any) -> type:
    """The class whose constructor has the arguments of the partial."""
    kind = bound.func

    def init(self: Any, *args: Any, **keywords: Any) -> None:
        kind.__init__(self, *bound.args, *args, **{**bound.keywords, **keywords})

    made = type(kind.__name__, (kind,), {"__init__": init})
    parameters = inspect.signature(bound).parameters.values()
    made.__signature__ = inspect.Signature([p for p in parameters if p.name not in bound.keywords])  # type: ignore[attr-defined]  # read by inspect.signature
    return made


def _of_class(kind: Any) -> Implementation:
    if issubclass(kind, torch.autograd.Function):
        return _of_function(autograd.of_autograd_function(kind), place_of(kind.forward))
    if issubclass(kind, torch.nn.Module):
        return statistics_as_options(autograd.of_module(kind, forward_name(kind), autograd.TORCH))
    for is_form, of_form in CLASS_FORMS:
        if is_form(kind):
            return of_form(kind)
    if method_named(kind, FORWARDS) is None and steps(kind):
        return of_optimizer(kind)
    forward, backward = getattr(kind, forward_name(kind)), backward_name(kind)
    if _is_static(kind, forward_name(kind)) and backward is not None and _is_static(kind, backward):
        return _of_pair(forward, getattr(kind, backward))
    engine = autograd.engine_of(forward)
    if engine is not None and backward is None:
        return autograd.of_module(kind, forward_name(kind), engine)
    if backward is None and any(autograd.uses_torch(method) for method in vars(kind).values() if callable(method)):
        return statistics_as_options(autograd.of_module(kind, forward_name(kind), autograd.TORCH))
    return statistics_as_options(of_class(kind))


def _is_static(kind: type, name: str) -> bool:
    return isinstance(inspect.getattr_static(kind, name), staticmethod)


def _of_pair(forward: Callable[..., Any], backward: Callable[..., Any], beside: bool = False) -> Implementation:
    pair = of_pair(forward, backward, beside)
    return pair if in_torchs_order(forward) else statistics_as_options(pair)


def _of_callable(function: Callable[..., Any]) -> Implementation:
    if hasattr(function, "register_autograd") and hasattr(function, "_init_fn"):
        return _of_function(autograd.of_custom_op(function), place_of(function._init_fn))
    for is_form, of_form in FUNCTION_FORMS:
        if is_form(function):
            return of_form(function)
    backward = _backward_beside(function)
    if backward is not None:
        return _of_pair(function, backward)
    return _of_function(function, place_of(function))


def _of_function(function: Callable[..., Any], place: str | None) -> Implementation:
    made = replace(of_function(function), forward_place=place)
    return made if in_torchs_order(function) else statistics_as_options(made)


def _backward_beside(function: Callable[..., Any]) -> Callable[..., Any] | None:
    """The backward of a forward function in the same module, by its name: conv_backward for conv_forward."""
    for name, (forward, backward) in itertools.product(_called(function), BESIDE):
        found = _in_module(function, name.replace(forward, backward)) if forward in name else None
        if found is not None:
            return found
    return None


def _called(function: Any) -> list[str]:
    """The names of a function: its own, and the variables of its module that hold it (a lambda)."""
    scope = getattr(function, "__globals__", {})
    return [getattr(function, "__name__", ""), *(name for name, value in scope.items() if value is function)]


def with_derivative(function: Any) -> Implementation | None:
    """The pair of a function and the derivative or backward of its module: sigmoid and sigmoid_prime; or None.

    For functions that return no pullback: one that does may use such a helper itself.
    """
    flagged = _by_flag(function)
    if flagged is not None:
        return flagged
    attached = (vars(function).get(name) for name in ATTACHED) if inspect.isfunction(function) else ()
    beside = (
        _in_module(function, form.format(name))
        for name, form in itertools.product(_called(function), DERIVATIVES)
        if inspect.isfunction(function)
    )
    for found in (*attached, *beside):
        if callable(found):
            made = tensor_gradients.of_tensor_functions(function, found) or _of_pair(function, found, beside=True)
            return replace(made, written=(function, found))
    return None


def _by_flag(function: Any) -> Implementation | None:
    """The pair of `f(x)` and its derivative `f(x, deriv=True)`."""
    parameters = parameters_of(function) or () if inspect.isfunction(function) else ()
    flag = next((p.name for p in parameters if p.default is False and plain(p.name) in FLAGS), None)
    if flag is None:
        return None
    forward, backward = (functools.partial(function, **{flag: value}) for value in (False, True))
    return replace(_of_pair(forward, backward, beside=True), written=(forward, backward))


def _in_module(function: Any, name: str) -> Callable[..., Any] | None:
    found = getattr(function, "__globals__", {}).get(name)
    return found if callable(found) else None
