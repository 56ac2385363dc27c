"""A class with forward and backward."""

from collections.abc import Callable
from typing import Any

import numpy as np

from parity.cases.torch_op import Array
from parity.subjects import backward as backwards
from parity.subjects import names
from parity.subjects.arguments import Arguments, parameters_of
from parity.subjects.attribute_errors import place_of
from parity.subjects.dense import orientation
from parity.subjects.errors import Declined, Unrecognised
from parity.subjects.implementation import CANONICAL, Implementation
from parity.subjects.locate_gradients import gradients_of, is_array, parameter_holder, returned_gradients
from parity.subjects.names import plain
from parity.subjects.pair import decline, decline_pairs

_FORWARDS = ("forward", "__call__", "forward_pass", "forward_propagation", "forward_prop", "fprop", "feedforward")
_BACKWARDS = (
    "backward",
    "backprop",
    "backward_pass",
    "backward_propagation",
    "back_prop",
    "bprop",
    "backpropagate",
)
_BIAS_FLAGS = names.words("usebias hasbias withbias addbias biasenabled")


def of_class(kind: type) -> Implementation:
    """`layer = C(…)`, `y = layer.forward(x)`, `dx = layer.backward(dy)`, with gradients returned or attributes.

    A fresh instance for each call, its parameters given to the constructor or set as attributes afterwards.
    """
    forward = next((name for name in _FORWARDS if hasattr(kind, name) and name != "__call__"), None)
    forward = forward or ("__call__" if "__call__" in dir(kind) else None)
    if forward is None:
        raise Unrecognised(f"{kind.__name__} has no forward, as in: def forward(self, x): …")
    backward = next((name for name in _BACKWARDS if hasattr(kind, name)), None)
    layer = _Layer(kind, forward, backward)
    made = Implementation(
        layer,
        forward_place=place_of(getattr(kind, forward)),
        backward_place=None if backward is None else place_of(getattr(kind, backward)),
    )
    layer.implementation = made
    made.lenient = True
    if backward is None:
        made.forward_only = True
        made.note("it has no backward: the output alone was checked")
    elif not layer.takes_upstream:
        made.takes_upstream = False
        made.note("its backward takes no upstream gradient: checked with an upstream of 1")
    return made


class _Layer:
    implementation: Implementation

    def __init__(self, kind: type, forward: str, backward: str | None) -> None:
        self.kind, self.forward, self.backward = kind, forward, backward
        self.transposed: bool | None = None

    @property
    def takes_upstream(self) -> bool:
        assert self.backward is not None
        return backwards.takes_upstream(getattr(self.kind, self.backward), skip=1)

    def __call__(self, *arrays: Array | None, **options: Any) -> tuple[Any, Callable[[Array], Any] | None]:
        weight = arrays[1] if len(arrays) > 1 else None
        dense = weight is not None and weight.ndim == 2 and not options and weight.dtype.kind == "f"
        if dense and self.transposed is None and _parameters(self._inputs(arrays), arrays):
            self.transposed = orientation(self.implementation, lambda a, t: self._called(a, {}, t))
        return self._called(arrays, options, dense and bool(self.transposed))

    def _called(
        self, arrays: tuple[Array | None, ...], options: dict[str, Any], transposed: bool
    ) -> tuple[Any, Callable[[Array], Any] | None]:
        y, layer, arguments, shapes = self._run(arrays, options, transposed)
        if self.backward is None:
            return y, None
        backward = getattr(layer, self.backward)

        def pullback(dy: Array) -> Any:
            returned = backwards.call(backward, dy, backwards.NO_CACHE, arrays, y, arguments)
            found = gradients_of(layer, returned_gradients(returned, len(arrays)))
            self._ask_for_missing(found, arrays)
            return [
                _as_given(g, a, s, transposed and place == 1)
                for place, (g, a, s) in enumerate(zip(found, arrays, shapes, strict=False))
            ]

        return y, pullback

    def _run(
        self, arrays: tuple[Array | None, ...], options: dict[str, Any], transposed: bool
    ) -> tuple[Any, Any, Arguments, list[tuple[int, ...] | None]]:
        """The output, the layer, its arguments, and the shapes that the arrays have within it."""
        arguments = Arguments(options, names.sizes(CANONICAL.get() or arrays, options), self.implementation.fixed)
        inputs = self._inputs(arrays)
        parameters = _parameters(inputs, arrays)
        if transposed:
            parameters = [np.asarray(parameters[0]).T.copy(), *parameters[1:]]
        given = self._constructor_arrays(parameters)
        constructor = arguments.bind(self.kind, 0, given) if parameters_of(self.kind) else {}
        in_constructor = any(value is p for value in constructor.values() for p in parameters if p is not None)
        forward_options = arguments.bind(getattr(self.kind, self.forward), 1 + len(inputs))
        # What is read of a dict is known after the call, and of attributes once there is a layer.
        later = arguments.handed_a_dict or "running_mean" in options
        if not later:
            decline(self.implementation, arguments)
        try:
            layer = self.kind(**constructor)
            for name in ("lr", "learning_rate"):
                if isinstance(getattr(layer, name, None), float):
                    setattr(layer, name, 0.0)
            forward = getattr(layer, self.forward)
            shapes: list[tuple[int, ...] | None] = [None if a is None else a.shape for a in (*inputs, *parameters)]
            if parameters and not in_constructor:
                if not _settable(layer, parameters):
                    self._first_call(layer, inputs, forward_options)
                shapes = [*shapes[: len(inputs)], *self._set(layer, parameters)]
            _set_statistics(layer, arguments)
            returned = forward(*inputs, **forward_options)
        except TypeError as error:
            decline_pairs(self.implementation, constructor | forward_options, error)
            raise
        if later:
            decline(self.implementation, arguments)
        y = returned[0] if isinstance(returned, tuple) and returned else returned
        return y, layer, arguments, shapes

    def _inputs(self, arrays: tuple[Array | None, ...]) -> tuple[Array | None, ...]:
        """The arrays that the forward takes: the input, and what else it has a place for, as a loss's target."""
        parameters = (parameters_of(getattr(self.kind, self.forward)) or ())[1:]
        count = 1
        for p in parameters[1:]:
            positional = p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)
            array = plain(p.name) in names.TARGETS | names.WEIGHTS | names.BIASES | {"y"}
            if names.is_option(p.name) or not positional or not (array or p.default is p.empty):
                break
            count += 1
        return arrays[: min(count, len(arrays))]

    def _constructor_arrays(self, parameters: list[Array | None]) -> dict[str, Any]:
        """What the constructor takes as arrays, and whether it is to have a bias."""
        wanted = parameters_of(self.kind) or ()
        short = [plain(p.name) for p in wanted]
        sized = any((s in names.SIZES or names.OPTIONS.get(s) == "kernel_size") and s not in names.AMBIGUOUS
                    for s in short)  # fmt: skip
        given: dict[str, Any] = {}
        weight = parameters[0] if parameters else None
        bias = parameters[1] if len(parameters) > 1 else None
        for p, s in zip(wanted, short, strict=True):
            if s in _BIAS_FLAGS or (s in names.BIASES and isinstance(p.default, bool)):
                given[s] = bias is not None
            elif parameters and s in names.WEIGHTS and not (sized and s in names.AMBIGUOUS):
                given[s] = weight
            elif parameters and s in names.BIASES and (not sized or p.default is None):
                required = bias is None and p.default is p.empty and weight is not None
                given[s] = np.zeros(len(weight), weight.dtype) if required and weight is not None else bias
        if sized:
            # Sizes say it all; parameters are set afterwards, unless the constructor takes both.
            given = {s: v for s, v in given.items() if not is_array(v) or s not in names.AMBIGUOUS}
        return given

    def _first_call(self, layer: Any, inputs: tuple[Array | None, ...], options: dict[str, Any]) -> None:
        """Let a layer create its parameters; where it has none after all, `_set` will ask."""
        try:
            getattr(layer, self.forward)(*(np.array(a) for a in inputs), **options)
        except Exception:  # whatever it raises: a layer whose parameters are found is heard later
            if _settable(layer, [None]):
                raise

    def _set(self, layer: Any, parameters: list[Array | None]) -> list[tuple[int, ...] | None]:
        shapes: list[tuple[int, ...] | None] = []
        for value, stems, what in zip(parameters, (names.WEIGHTS, names.BIASES), ("weight", "bias"), strict=False):
            holder = parameter_holder(layer, stems)
            if holder is None:
                if value is None:
                    shapes.append(None)
                    continue
                if what == "bias":
                    raise Declined("it has no bias", {"bias": False})
                raise Unrecognised(
                    f"{self.kind.__name__} keeps its {what} where parity cannot find it; name the attribute "
                    f"{what}, or take it in __init__, as in: def __init__(self, weight, bias, stride=1): …"
                )
            space, key = holder
            own = space[key]
            if value is None:
                if own is not None:
                    given = next(p for p in parameters if p is not None)
                    space[key] = np.zeros(np.shape(own), given.dtype)
                shapes.append(None)
                continue
            shape = value.shape if own is None else np.shape(own)
            one_number_each = what == "bias" or value.ndim == 1
            if shape != value.shape and not (one_number_each and np.size(own) == value.size):
                raise Unrecognised(
                    f"{self.kind.__name__}.{key} has the shape {shape}, where torch's {what} has {value.shape}; "
                    "an adapter may bring them together, as parity.subjects.channels_last does with (kh, kw, C, F)"
                )
            space[key] = value.reshape(shape).copy()
            shapes.append(shape)
        return shapes

    def _ask_for_missing(self, found: list[Any], arrays: tuple[Array | None, ...]) -> None:
        inputs = len(self._inputs(arrays))
        for place, what in ((1, "dW"), (2, "db")):
            if inputs <= place < len(found) and found[place] is None and arrays[place] is not None:
                self.implementation.note(
                    f"no gradient called {what}, weight_grad or the like was found on {self.kind.__name__}: "
                    "return it from backward, or keep it in an attribute so called"
                )


def _set_statistics(layer: Any, arguments: Arguments) -> None:
    """Running statistics and the mode, where a layer keeps them as attributes."""
    for name in names.STATISTICS:
        aliases = frozenset(alias for alias, option in names.OPTIONS.items() if option == name)
        holder = parameter_holder(layer, aliases)
        if holder is not None and name in arguments.options:
            value = arguments.options[name]
            space, key = holder
            space[key] = value.reshape(value.shape if space[key] is None else np.shape(space[key])).copy()
            arguments.read.add(name)
    if "training" in arguments.options.keys() - arguments.read:
        for key, own in vars(layer).items():
            if names.OPTIONS.get(plain(key)) == "training" and isinstance(own, bool):
                setattr(layer, key, arguments.options["training"])
                arguments.read.add("training")


def _parameters(inputs: tuple[Array | None, ...], arrays: tuple[Array | None, ...]) -> list[Array | None]:
    return list(arrays[len(inputs) :])


def _settable(layer: Any, parameters: list[Array | None]) -> bool:
    holder = parameter_holder(layer, names.WEIGHTS)
    return holder is not None and (holder[0][holder[1]] is not None or not parameters)


def _as_given(gradient: Any, array: Array | None, shape: tuple[int, ...] | None, transposed: bool) -> Any:
    """A gradient in the shape in which the layer keeps its array, in the array's own."""
    if gradient is None or array is None or shape is None or not is_array(gradient):
        return gradient
    gradient = np.asarray(gradient)
    if gradient.shape != shape:
        return gradient
    return gradient.T if transposed else gradient.reshape(array.shape)
