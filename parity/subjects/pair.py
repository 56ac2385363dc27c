"""Adapts a forward and a backward function, as in university courses, or a function that returns a pullback."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from parity.cases.op import Array
from parity.subjects import backward as backwards
from parity.subjects import names
from parity.subjects.arguments import arguments_of, bound_by_partial, parameters_of, reads_keywords
from parity.subjects.attribute_errors import place_of
from parity.subjects.errors import Declined, Unrecognised
from parity.subjects.implementation import Implementation, Pullback
from parity.subjects.locate_gradients import is_array, returned_gradients
from parity.subjects.names import plain

DERIVATIVE = "its backward is the derivative: multiplied by the upstream gradient"
AT_OUTPUT = "its backward takes the output of the forward in place of its input"
NO_UPSTREAM = "its backward takes no upstream gradient: checked with an upstream of 1"


def of_pair(forward: Callable[..., Any], backward: Callable[..., Any], beside: bool = False) -> Implementation:
    """Adapt `out, cache = forward(x, w, b, …)` and `dx, dw, db = backward(dout, cache)`, in either order.

    Options are passed by the forward's names for them, or in a dict. If the forward returns only the output, the
    backward's arguments are chosen by its parameter names: (dout, x, w, b, stride). `beside`: the backward was
    found by its name, and a pullback that the forward returns is preferred to it.
    """
    derivative = backwards.is_derivative(forward, backward)
    takes_upstream = derivative or backwards.takes_upstream(
        backward, 0, [plain(p.name) for p in parameters_of(forward) or ()]
    )
    return Implementation(
        _Pair(forward, backward, derivative, beside=beside),
        written=(forward, backward),
        forward_place=place_of(forward),
        backward_place=place_of(backward),
        notes=(DERIVATIVE,) if derivative else () if takes_upstream else (NO_UPSTREAM,),
        takes_upstream=takes_upstream,
        optional_upstream=backwards.upstream_is_optional(backward),
        lenient=True,
    )


@dataclass(frozen=True)
class _Pair:
    forward: Callable[..., Any]
    backward: Callable[..., Any]
    derivative: bool
    at_output: bool = False  # its backward takes the output in place of the input: tanh_grad(y) = 1 − y²
    beside: bool = False

    def __call__(self, *arrays: Array | None, **options: Any) -> tuple[Any, Callable[[Array], Any]]:
        arguments = arguments_of(arrays, options)
        given = positional(self.forward, arrays)
        keywords = arguments.bind(self.forward, len(given), _plain(by_keyword(self.forward, arrays)))
        if not arguments.gives_dict:
            arguments.decline_unread()
        returned = self.forward(*given, **keywords)
        if arguments.gives_dict:
            arguments.keep_statistics()
            arguments.decline_unread()
        returned = _output_and_cache(returned)
        y, cache = (returned[0], returned[1:]) if isinstance(returned, tuple) else (returned, backwards.NO_CACHE)
        if isinstance(cache, tuple) and len(cache) == 1:
            (cache,) = cache
        if self.beside and inspect.isfunction(cache):
            raise Unrecognised("it returns a pullback")  # which may call the other function, or not

        def pullback(dy: Array) -> Any:
            named = dict(zip((plain(p.name) for p in parameters_of(self.forward) or ()), given, strict=False))
            if self.derivative and len(_required(self.backward)) == 1:  # whatever its parameter is called
                options = arguments.bind(self.backward, 1)
                gradients = self.backward(y if self.at_output else given[0], **options)
                return returned_gradients(dy * gradients, len(arrays))
            if self.at_output:
                gradients = backwards.call(self.backward, dy, cache, (y,), y, arguments, dict.fromkeys(named, y))
                return returned_gradients(dy * gradients if self.derivative else gradients, len(arrays))
            torchs = given[::-1] if target_comes_first(parameters_of(self.forward) or (), arrays) else given
            gradients = backwards.call(self.backward, dy, cache, torchs, y, arguments, named)
            if callable(gradients):  # the vector-Jacobian product of one call
                return returned_gradients(gradients(dy), len(arrays))
            gradients = dy * gradients if self.derivative else gradients
            return returned_gradients(gradients, len(arrays), [*named] if torchs is given else ())

        return y, pullback


def at_output(made: Implementation) -> Implementation | None:
    """The same pair whose backward takes the output, if its forward takes one array; otherwise None."""
    if not isinstance(made.op, _Pair) or len(parameters_of(made.op.forward) or ()) != 1:
        return None
    pair = replace(made.op, at_output=True, derivative=len(_required(made.op.backward)) == 1)
    return replace(made, op=pair, takes_upstream=True, notes=(AT_OUTPUT,))


def names_output(made: Implementation) -> bool:
    """Whether the backward of such a pair has a parameter that is named like an output: sigmoid_grad(s)."""
    pair = made.op
    if not isinstance(pair, _Pair):
        return False
    own = {plain(p.name) for p in _required(pair.backward)}
    return bool(own & (names.OUTPUTS | {"s", "a"})) and not own & {plain(p.name) for p in _required(pair.forward)}


def is_by_flag(made: Implementation) -> bool:
    """Whether the backward of a pair is the function of the forward with a flag: `sigmoid(x, deriv=True)`."""
    return isinstance(made.op, _Pair) and isinstance(made.op.backward, partial)


def _required(function: Callable[..., Any]) -> list[inspect.Parameter]:
    return [p for p in parameters_of(function) or () if p.default is p.empty]


def of_function(function: Callable[..., Any]) -> Implementation:
    """Adapt `y, pullback = f(*arrays, **options)`, with options under any names or in a dict."""
    parameters = parameters_of(function)
    takes_all = parameters is None or any(p.kind is p.VAR_KEYWORD and reads_keywords(function) for p in parameters)
    known = frozenset(p.name for p in parameters or ())

    def op(*arrays: Array | None, **options: Any) -> Any:
        places = _places_after_an_option(parameters or (), arrays, options)
        if places:
            return function(**dict(zip(places, arrays, strict=True)), **options)
        given = positional(function, arrays)
        bound = bound_by_partial(function, options)
        if takes_all or options.keys() - bound <= known:
            passed = {name: value for name, value in options.items() if name not in bound}
            return function(*given, **by_keyword(function, arrays), **passed)
        arguments = arguments_of(arrays, options)
        keywords = arguments.bind(function, len(given), _plain(by_keyword(function, arrays)))
        if not arguments.gives_dict:
            arguments.decline_unread()
        returned = function(*given, **keywords)
        if arguments.gives_dict:
            arguments.keep_statistics()
            arguments.decline_unread()
        return returned

    return Implementation(op, written=function, forward_place=place_of(function))


def positional(forward: Callable[..., Any], arrays: tuple[Array | None, ...]) -> tuple[Array | None, ...]:
    """The arrays for the forward's parameters.

    Raises:
        Declined: the case has a bias, and the forward has none.
    """
    parameters = parameters_of(forward)
    if parameters is None or any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return arrays
    places = [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)][: len(arrays)]
    if not places and not by_keyword(forward, arrays):
        name = getattr(forward, "__name__", "it")
        raise Unrecognised(f"{name} takes no array, as in: def {name}(x): …")
    places = [p for i, p in enumerate(places) if i == 0 or not _takes_option(p.name, arrays)]
    named = [id(array) for array in by_keyword(forward, arrays).values()]
    if any(array is not None and id(array) not in named for array in arrays[len(places) :]):
        raise Declined("it has no bias", {"bias": False})
    return arrays[::-1] if target_comes_first(places, arrays) else arrays[: len(places)]


def target_comes_first(parameters: Sequence[inspect.Parameter], arrays: tuple[Array | None, ...]) -> bool:
    """Whether a loss is called as loss(y_true, y_pred): torch's first argument is the prediction."""
    if len(arrays) != 2 or len(parameters) < 2:
        return False
    first, second = (plain(p.name) for p in parameters[:2])
    return first in names.TARGETS | {"y"} and second in names.PREDICTIONS


def _places_after_an_option(
    parameters: Sequence[inspect.Parameter], arrays: tuple[Array | None, ...], options: Mapping[str, Any]
) -> list[str]:
    """The arrays' names if an option comes before the weight, as in torch's layer_norm; otherwise none."""
    places = [p.name for p in parameters if p.kind is p.POSITIONAL_OR_KEYWORD]
    names_of_arrays = [*places[:1], *(p for p in places[1:] if plain(p) in names.WEIGHTS | names.BIASES)]
    interleaved = any(name in options for name in places[: len(arrays)])
    takes_all = options.keys() <= {p.name for p in parameters}
    return names_of_arrays if interleaved and takes_all and len(names_of_arrays) == len(arrays) else []


def by_keyword(forward: Callable[..., Any], arrays: tuple[Array | None, ...]) -> dict[str, Array | None]:
    """The arrays for keyword-only parameters: weight and bias, or a loss's target.

    None of them is passed by position as well: `loss(x, target, *, weight)` has a weight of the classes.
    """
    found: dict[str, Array | None] = {}
    parameters = parameters_of(forward) or ()
    places = sum(p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) for p in parameters)
    for p in parameters:
        short = plain(p.name)
        if p.kind is not p.KEYWORD_ONLY or len(arrays) not in (2, 3):
            continue
        if places < 2 and (short in names.WEIGHTS or (short in names.TARGETS and len(arrays) == 2)):
            found[p.name] = arrays[1]
        elif places < 3 and short in names.BIASES and len(arrays) == 3:
            found[p.name] = arrays[2]
    return found


def _output_and_cache(returned: Any) -> Any:
    """Convert [out, cache] or {"out": …, "cache": …} to a tuple."""
    if isinstance(returned, list) and len(returned) == 2 and is_array(returned[0]):
        return tuple(returned)
    if isinstance(returned, dict):
        by_name = {plain(str(name)): value for name, value in returned.items()}
        outputs = [value for name, value in by_name.items() if name in names.OUTPUTS]
        caches = [value for name, value in by_name.items() if name in names.CACHES]
        if len(outputs) == len(caches) == 1:
            return outputs[0], caches[0]
    return returned


def _plain(keywords: Mapping[str, Any]) -> dict[str, Any]:
    return {plain(name): value for name, value in keywords.items()}


def _takes_option(name: str, arrays: tuple[Array | None, ...]) -> bool:
    """Whether a parameter is an option; running statistics are arrays if the op has five arrays."""
    statistics = names.OPTIONS.get(plain(name)) in names.STATISTICS and len(arrays) == 5
    kernel = name == "K" and len(arrays) > 1  # corr2d(X, K)
    return names.is_option(name) and not statistics and not kernel


def drops_upstream(made: Implementation) -> Implementation:
    """Adapt a backward that ignores its optional upstream gradient; it is checked with an upstream of 1."""

    def op(*arrays: Array | None, **options: Any) -> Any:
        y, pullback = made.op(*arrays, **options)
        return y, None if pullback is None else Pullback(pullback, takes_upstream=False)

    return made.around(op, NO_UPSTREAM)
