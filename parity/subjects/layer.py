"""Adapts a class with forward and backward."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from parity.cases.op import Array
from parity.subjects import backward as backwards
from parity.subjects import layer_statistics as statistics
from parity.subjects import names, updates
from parity.subjects.arguments import Arguments, arguments_of, parameters_of
from parity.subjects.attribute_errors import place_of
from parity.subjects.errors import Declined, Unrecognised
from parity.subjects.implementation import CALL, Implementation, Pullback
from parity.subjects.locate_gradients import (
    STEMS,
    clear_method,
    clear_methods,
    gradients_of,
    is_array,
    output_of,
    parameter_holder,
    returned_gradients,
)
from parity.subjects.names import plain
from parity.subjects.pair import DERIVATIVE, NO_UPSTREAM, target_comes_first

# Without underscores and in lower case; the first that a class has is its forward, or its backward.
FORWARDS = (
    "forward", "forwardpass", "forwardpropagation", "forwardpropagate", "forwardprop", "fprop", "feedforward",
    "propagate", "fwd", "feed", "call", "activate", "compute", "loss", "fn", "f",
)  # fmt: skip
BACKWARDS = (
    "backward", "backprop", "backwardpass", "backwardpropagation", "backwardpropagate", "backwardprop", "bprop",
    "backpropagate", "backpropagation", "bwd", "gradient", "derivative", "derive", "prime", "grad",
    "computegradient", "back", "gradfn", "dfn", "df",
)  # fmt: skip
# Of a loss whose forward returns the loss of each sample: the method that returns the mean.
REDUCES = ("calculate", "compute_loss")
_BIAS_FLAGS = names.words("usebias hasbias withbias addbias biasenabled")
_WEIGHT_FLAGS = names.words("affine elementwiseaffine")  # of normalizations: a weight and a bias, or neither


def of_class(kind: type) -> Implementation:
    """Adapt `layer = C(…)`, `y = layer.forward(x)`, `dx = layer.backward(dy)`; gradients may be attributes.

    Each call creates an instance; its parameters are passed to the constructor or set as attributes afterwards.
    """
    forward = forward_name(kind)
    backward = backward_name(kind)
    notes: tuple[str, ...] = ()
    forward_names = [plain(p.name) for p in parameters_of(getattr(kind, forward)) or ()]
    derivative = backward is not None and backwards.is_derivative(
        getattr(kind, forward), getattr(kind, backward), skip=1
    )
    takes_upstream = (
        backward is None or derivative or backwards.takes_upstream(getattr(kind, backward), 1, forward_names)
    )
    if backward is None:
        notes = ("it has no backward: only the output was checked",)
    elif derivative:
        notes = (DERIVATIVE,)
    elif not takes_upstream:
        notes = (NO_UPSTREAM,)
    return Implementation(
        _Layer(kind, forward, backward, derivative),
        written=kind,
        forward_place=place_of(getattr(kind, forward)),
        backward_place=None if backward is None else place_of(getattr(kind, backward)),
        notes=notes,
        takes_upstream=takes_upstream,
        optional_upstream=backward is not None and backwards.upstream_is_optional(getattr(kind, backward)),
        forward_only=backward is None,
        lenient=True,
        clear=None if backward is None else clear_method(kind),
        updates=updates.updates(kind, backward),
    )


def forward_name(kind: type) -> str:
    """The name of the method that computes the output.

    Raises:
        Unrecognised: the class has no such method.
    """
    forward = method_named(kind, FORWARDS) or ("__call__" if "__call__" in dir(kind) else None)
    if forward is None:
        own = [n for n in dir(kind) if not n.startswith("_") and callable(getattr(kind, n))]
        methods = f"; its methods are {', '.join(own)}" if own else ""
        raise Unrecognised(f"{kind.__name__} has no forward, as in: def forward(self, x): …{methods}")
    return next((name for name in REDUCES if callable(getattr(kind, name, None))), forward)


@lru_cache(maxsize=256)
def method_named(kind: Any, wanted: tuple[str, ...]) -> str | None:
    """The first method with one of these names, which are compared in lower case and without underscores."""
    own: dict[str, str] = {}
    for name in dir(kind):
        if not name.startswith("__") and callable(getattr(kind, name, None)):
            own.setdefault(plain(name), name)
            if name in wanted:
                own[name] = name  # forward rather than _forward
    return next((own[name] for name in wanted if name in own), None)


def backward_name(kind: type) -> str | None:
    """The name of the method that computes the gradients, if there is one."""
    return method_named(kind, BACKWARDS)


class _Ran(NamedTuple):
    """A layer after its forward."""

    y: Any
    cache: Any  # what the forward returned besides y
    layer: Any
    arguments: Arguments
    shapes: list[tuple[int, ...] | None]  # of the arrays within it
    given: dict[str, Any]  # the arrays that the forward was given, by plain name
    again: Callable[[], Any]  # the same forward once more


@dataclass(frozen=True)
class _Layer:
    kind: type
    forward: str
    backward: str | None
    derivative: bool = False  # its backward is f′(x)
    updated: set[int] = field(default_factory=set, compare=False)  # the parameters that its backward updates

    def __call__(self, *arrays: Array | None, **options: Any) -> tuple[Any, Callable[[Array], Any] | None]:
        ran = self._run(arrays, options)
        if self.backward is None:
            return ran.y, None
        layer, call = ran.layer, CALL.get()
        clears = clear_methods(layer) if call is None or call.clears else []
        backward, calls = getattr(layer, self.backward), itertools.count()
        own = self._own_output(ran) if len(ran.given) == 2 else None

        def pullback(dy: Array) -> Any:
            if next(calls) and clears:  # as in a training loop: clear, forward, backward
                for clear in clears:
                    clear()
                ran.again()
            dy = dy if own is None else own
            returned = backwards.call(backward, dy, ran.cache, arrays, ran.y, ran.arguments, ran.given)
            returned = dy * returned if self.derivative else returned
            found = gradients_of(layer, returned_gradients(returned, len(arrays)), self.backward)
            inputs = len(self._inputs(arrays))
            if any(g is None and a is not None for g, a in zip(found[inputs:], arrays[inputs:], strict=False)):
                token = CALL.set(call)
                try:
                    found = self._from_update(arrays, options, dy, found, inputs)
                finally:
                    CALL.reset(token)
            return [_as_given(*each) for each in zip(found, arrays, ran.shapes, strict=False)]

        return ran.y, pullback if own is None else Pullback(pullback, takes_upstream=False)

    def _own_output(self, ran: "_Ran") -> Any:
        """The predictions, if the backward of a loss takes them as `dvalues`: those that it keeps, or the scores.

        A backward that takes the targets again keeps nothing, so it needs the predictions too.
        """
        backward = getattr(self.kind, self.backward or "")
        if np.ndim(ran.y) or backwards.upstream_is_optional(backward) or not backwards.takes_upstream(backward, 1):
            return None
        output = output_of(ran.layer)
        scores = next(iter(ran.given.values()))
        if output is not None and np.shape(output) == np.shape(scores) != ():
            return output
        takes = [plain(p.name) for p in parameters_of(backward) or ()]
        stateless = self.forward in REDUCES and any(name in names.TARGETS for name in takes)
        return scores if stateless else None

    def _from_update(
        self, arrays: tuple[Array | None, ...], options: dict[str, Any], dy: Array, found: list[Any], inputs: int
    ) -> list[Any]:
        """Fill the places that are None with the gradients by which the backward updates its parameters."""
        first = arrays[0]
        assert first is not None
        rate = updates.huge_rate(first.dtype)
        ran = self._run(arrays, options, rate)
        layer = ran.layer
        holders = [parameter_holder(layer, stems) for stems in (names.WEIGHT_ATTRIBUTES, names.BIAS_ATTRIBUTES)]
        before = [None if h is None else np.array(h[0][h[1]]) for h in holders]
        again = self._call_backward(ran, arrays, dy)
        filled = list(found)
        if found[0] is not None and not np.array_equal(
            again[0], found[0], equal_nan=True
        ):  # computed with the updated parameters
            filled[0] = self._call_backward(self._run(arrays, options, 1.0), arrays, dy)[0]
        for place, (holder, old) in enumerate(zip(holders, before, strict=True), inputs):
            if place >= len(found) or found[place] is not None or holder is None or old is None:
                continue
            new = np.asarray(holder[0][holder[1]])
            if not np.array_equal(new, old):
                self.updated.add(place)
            if place in self.updated and new.shape == old.shape:
                filled[place] = (old - new) / rate
        return filled

    def _call_backward(self, ran: "_Ran", arrays: tuple[Array | None, ...], dy: Array) -> list[Any]:
        backward = getattr(ran.layer, self.backward or "")
        returned = backwards.call(backward, dy, ran.cache, arrays, ran.y, ran.arguments, ran.given)
        return gradients_of(ran.layer, returned_gradients(returned, len(arrays)), self.backward)

    def _run(self, arrays: tuple[Array | None, ...], options: dict[str, Any], rate: float = 0.0) -> "_Ran":
        """A forward of a new layer, whose backward updates parameters with the step size `rate`."""
        arguments = arguments_of(arrays, options)
        arguments.rate = rate
        inputs = self._inputs(arrays)
        parameters = list(arrays[len(inputs) :])
        given = constructor_arrays(self.kind, parameters)
        constructor = arguments.bind(self.kind, 0, given) if parameters_of(self.kind) else {}
        in_constructor = any(value is p for value in constructor.values() for p in parameters if p is not None)
        forward_options = arguments.bind(getattr(self.kind, self.forward), 1 + len(inputs))
        # Options in a dict are recorded during the call, and attributes need an instance.
        later = arguments.gives_dict or "running_mean" in options
        if not later:
            arguments.decline_unread()
        layer = self.kind(**constructor)
        updates.set_rate(layer, rate)
        forward = _by_name(getattr(layer, self.forward))
        shapes: list[tuple[int, ...] | None] = [None if a is None else a.shape for a in (*inputs, *parameters)]
        if parameters and not in_constructor:
            if not _settable(layer, parameters):
                updates.set_up(layer, inputs[0], arguments)
            if not _settable(layer, parameters):
                self._first_call(layer, inputs, forward_options)
            shapes = [*shapes[: len(inputs)], *self._set(layer, parameters)]
        if "running_mean" in options and _creates_later(layer, self.forward, statistics.ALIASES):
            self._first_call(layer, inputs, forward_options)
        holders = statistics.set_in(layer, arguments)
        call = CALL.get()
        for clear in clear_methods(layer) if call is None or call.clears else ():
            clear()
        returned = forward(*inputs, **forward_options)
        statistics.keep_from(holders)
        if later:
            arguments.keep_statistics()
            arguments.decline_unread()
        y, cache = returned, backwards.NO_CACHE
        if isinstance(returned, tuple) and returned:
            y, *rest = returned
            cache = tuple(rest) if len(rest) > 1 else rest[0] if rest else backwards.NO_CACHE
        given_names = [plain(p.name) for p in (parameters_of(getattr(self.kind, self.forward)) or ())[1:]]
        named = dict(zip(given_names, inputs, strict=False))
        y = output_of(layer) if y is None else y
        return _Ran(y, cache, layer, arguments, shapes, named, lambda: forward(*inputs, **forward_options))

    def _inputs(self, arrays: tuple[Array | None, ...]) -> tuple[Array | None, ...]:
        """The arrays that are parameters of the forward: the input, and others such as a loss's target."""
        parameters = (parameters_of(getattr(self.kind, self.forward)) or ())[1:]
        count = 1
        for p in parameters[1:]:
            positional = p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD) or parameters[0].kind is p.kind
            array = plain(p.name) in names.TARGETS | names.WEIGHTS | names.BIASES | names.PREDICTIONS | {"y"}
            if names.is_option(p.name) or not positional or not (array or p.default is p.empty):
                break
            count += 1
        given = arrays[: min(count, len(arrays))]
        return given[::-1] if target_comes_first(parameters, arrays) else given

    def _first_call(self, layer: Any, inputs: tuple[Array | None, ...], options: dict[str, Any]) -> None:
        """Call the forward so that the layer creates its parameters; if it does not, `_set` raises."""
        try:
            _by_name(getattr(layer, self.forward))(*(np.array(a) for a in inputs), **options)
        except Exception:  # fails if the parameters have to be set first; the layer is then called again with them
            if _settable(layer, [None]) or _creates_later(layer, self.forward, names.BIASES):
                raise

    def _set(self, layer: Any, parameters: list[Array | None]) -> list[tuple[int, ...] | None]:
        if hasattr(layer, "set_weights") and hasattr(layer, "get_weights"):
            return self._set_weights(layer, parameters)
        shapes: list[tuple[int, ...] | None] = []
        for value, stems, what in zip(parameters, STEMS[1:], ("weight", "bias"), strict=False):
            holder = parameter_holder(layer, stems)
            if holder is None:
                if value is None:
                    shapes.append(None)
                    continue
                raise missing_parameter(self.kind, what)
            space, key = holder
            own = space[key]
            if value is None:
                if own is not None:
                    given = next(p for p in parameters if p is not None)
                    if isinstance(own, np.ndarray) and own.flags.writeable:
                        own[...] = 0
                    zeros = np.zeros(np.shape(own), given.dtype)
                    space[key] = zeros.tolist() if isinstance(own, list) else zeros
                shapes.append(None)
                continue
            shape = value.shape if own is None else np.shape(own)
            one_number_each = what == "bias" or value.ndim == 1
            if shape != value.shape and not (one_number_each and np.size(own) == np.size(value)):
                decline_kernel(tuple(shape), tuple(value.shape))
                raise Unrecognised(
                    f"{self.kind.__name__}.{key} has the shape {tuple(shape)}, where torch's {what} has "
                    f"{tuple(value.shape)}; {adapter_for(tuple(shape), tuple(value.shape))}"
                )
            if isinstance(own, np.ndarray) and own.size == value.size and own.flags.writeable:
                own[...] = value.reshape(own.shape)  # for operations within the layer that hold the same array
            # A copy, as a NumPy array, a torch tensor or a list like the layer's own.
            if isinstance(own, list):
                space[key] = value.reshape(shape).tolist()
            else:
                space[key] = (
                    np.array(value).reshape(shape) if isinstance(value, np.ndarray) else value.reshape(shape)
                )
            shapes.append(shape)
        return shapes

    def _set_weights(self, layer: Any, parameters: list[Array | None]) -> list[tuple[int, ...] | None]:
        """Set the parameters by the layer's own method, which takes a list, as in Keras."""
        own, first = [np.array(array) for array in layer.get_weights()], parameters[0]
        if len(own) < len(parameters) and parameters[len(own)] is not None:
            raise Declined("it has no bias", {"bias": False})
        new = []
        for array, value in zip(own, parameters, strict=False):
            if value is not None and value.size != array.size:
                raise missing_parameter(self.kind, "weight")
            if value is not None and value.ndim > 1 and value.shape != array.shape:
                raise Unrecognised(
                    f"{self.kind.__name__}.get_weights() has the shape {array.shape}, where torch's weight has "
                    f"{value.shape}; {adapter_for(array.shape, value.shape)}"
                )
            zeros = np.zeros(array.shape, array.dtype if first is None else first.dtype)
            new.append(zeros if value is None else np.array(value).reshape(array.shape))
        layer.set_weights(new)
        return [None if value is None else array.shape for array, value in zip(own, parameters, strict=False)]


def _by_name(forward: Callable[..., Any]) -> Callable[..., Any]:
    """A forward that accepts its arrays by position, although its own parameters are keyword-only."""
    places = [p.name for p in parameters_of(forward) or ()]
    first = next(iter(parameters_of(forward) or ()), None)
    if first is None or first.kind is not first.KEYWORD_ONLY:
        return forward

    def call(*arrays: Any, **options: Any) -> Any:
        return forward(**dict(zip(places, arrays, strict=False)), **options)

    return call


def decline_kernel(own: tuple[int, ...], given: tuple[int, ...]) -> None:
    """Raise Declined if a convolution has its own size of the kernel: the weights differ only in these axes."""
    call = CALL.get()
    weight = None if call is None or len(call.arrays) < 2 else call.arrays[1]
    if len(own) != len(given) or len(own) not in (3, 4) or weight is None or weight.ndim != 4:
        return
    for axes in ((2, 3), (0, 1), (1, 2)) if len(own) == 4 else ((1, 2),):  # OIHW, HWIO, OHWI; OHW
        rest = [axis for axis in range(len(own)) if axis not in axes]
        kernel = own[axes[0]], own[axes[1]]
        is_kernel = tuple(given[axis] for axis in axes) == weight.shape[2:] != kernel
        if is_kernel and all(own[axis] == given[axis] for axis in rest):
            raise Declined(f"its kernels are {kernel[0]}×{kernel[1]}", {"kernel_size": kernel})


def missing_parameter(kind: type, what: str, is_none: bool = False) -> Exception:
    """The exception for a layer that lacks a parameter; `is_none` if that is a setting of a normalization."""
    if what == "weight" and is_none:
        return Declined("it has no weight", {"weight": None, "bias": False})
    if what == "bias":
        return Declined("it has no bias", {"bias": False})
    return Unrecognised(
        f"{kind.__name__} keeps its {what} where parity does not find it; name the attribute {what}, or take it "
        f"in __init__, as in: def __init__(self, weight, bias, stride=1): …"
    )


def adapter_for(shape: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    """The call of an adapter, as text, that converts a weight of torch's shape to the layer's."""
    if len(shape) == len(wanted) == 2 and shape == wanted[::-1]:
        return "wrap it: parity.subjects.weights_in_out(layer)"
    if len(shape) == len(wanted) == 4 and sorted(shape) == sorted(wanted):
        axes = "".join("OIHW"[wanted.index(size)] for size in shape)
        if sorted(axes) == sorted("OIHW"):
            nhwc = "parity.subjects.channels_last(layer) for NHWC images"
            return f'wrap it: parity.subjects.weights_laid(layer, "{axes}"), or {nhwc}'
    return "wrap it in a function that takes torch's shape"


def constructor_arrays(kind: type, parameters: list[Array | None]) -> dict[str, Any]:
    """The arrays that the constructor takes, and the value of a flag for the bias."""
    wanted = parameters_of(kind) or ()
    short = [plain(p.name) for p in wanted]
    sized = any(
        (names.size_of(p.name) is not None or names.OPTIONS.get(s) == "kernel_size") and s not in names.AMBIGUOUS
        for p, s in zip(wanted, short, strict=True)
    )
    given: dict[str, Any] = {}
    weight = parameters[0] if parameters else None
    bias = parameters[1] if len(parameters) > 1 else None
    for p, s in zip(wanted, short, strict=True):
        if s in _WEIGHT_FLAGS:
            given[s] = weight is not None
        elif s in _BIAS_FLAGS or (s in names.BIASES and isinstance(p.default, bool)):
            given[s] = bias is not None
        elif parameters and s in names.WEIGHTS and not (sized and s in names.AMBIGUOUS):
            given[s] = weight
        elif parameters and s in names.BIASES and (not sized or p.default is None):
            given[s] = bias
    if sized:
        # If the constructor takes sizes, parameters are set afterwards, unless it takes both.
        given = {s: v for s, v in given.items() if not is_array(v) or s not in names.AMBIGUOUS}
    return given


def _settable(layer: Any, parameters: list[Array | None]) -> bool:
    holder = parameter_holder(layer, names.WEIGHT_ATTRIBUTES)
    return holder is not None and (holder[0][holder[1]] is not None or not parameters)


def _creates_later(layer: Any, forward: str, stems: frozenset[str]) -> bool:
    """Whether the forward uses an attribute with one of these names that the layer does not have yet.

    If so, the failed call did not reach the line that creates the parameter.
    """
    code = getattr(getattr(type(layer), forward), "__code__", None)
    return any(plain(name) in stems and not hasattr(layer, name) for name in getattr(code, "co_names", ()))


def _as_given(gradient: Any, array: Array | None, shape: tuple[int, ...] | None) -> Any:
    """Reshape a gradient from the layer's shape of the array to the array's own."""
    if gradient is None or array is None or shape is None or not is_array(gradient):
        return gradient
    return gradient.reshape(array.shape) if tuple(np.shape(gradient)) == tuple(shape) else gradient
