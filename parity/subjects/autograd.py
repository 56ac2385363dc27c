"""Code that is differentiated automatically: functions and modules over tensors of torch or of a small engine.

A small engine is a class with `.data`, `.grad` (or `.value`, `.adjoint`) and `.backward()` in the user's file.
"""

import functools
import inspect
import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch

from parity.cases.op import Array
from parity.cases.state import keep
from parity.cases.torch_op import buffers
from parity.subjects import names
from parity.subjects.arguments import Arguments, arguments_of, parameters_of
from parity.subjects.attribute_errors import place_of
from parity.subjects.errors import Declined
from parity.subjects.implementation import CALL, Call, Implementation, Pullback
from parity.subjects.instances import configured
from parity.subjects.layer import constructor_arrays, forward_name, missing_parameter
from parity.subjects.layer_statistics import Holders, keep_from, set_in
from parity.subjects.locate_gradients import parameter_holder
from parity.subjects.names import plain

# Attributes of the tensors of a small engine: the array, and the gradient.
ENGINE_VALUES, ENGINE_GRADIENTS = ("data", "value", "val"), ("grad", "gradient", "adjoint")


class Engine(Protocol):
    """An automatic differentiation engine: creates, reads and differentiates tensors."""

    @property
    def note(self) -> str:
        """For the report."""

    def leaf(self, array: Array | None) -> Any:
        """Convert an array to a tensor, which requires a gradient if the array is floating."""

    def parameter(self, leaf: Any) -> Any:
        """Convert a leaf to the type that a layer stores as its parameter."""

    def is_tensor(self, value: Any) -> bool:
        """Whether the value is a tensor of this engine."""

    def constant(self, value: Any) -> Any:
        """An argument without a gradient: an array, such as the weights of classes, as a tensor if necessary."""

    def data(self, tensor: Any) -> Array:
        """Convert a tensor to an array."""

    def gradients(self, run: Callable[[], tuple[Any, list[Any]]], dy: Array) -> list[Array | None]:
        """The gradients of the leaves; `run` computes the output and returns it with the leaves."""


@dataclass(frozen=True)
class Torch:
    """torch's tensors with autograd."""

    note: str = "it takes torch tensors"

    def leaf(self, array: Array | None) -> Any:
        if array is None:
            return None
        tensor = torch.from_numpy(np.array(array, order="C"))
        return tensor.requires_grad_(tensor.is_floating_point())

    def parameter(self, leaf: Any) -> Any:
        return torch.nn.Parameter(leaf.detach()) if leaf.is_floating_point() else leaf

    def constant(self, value: Any) -> Any:
        return torch.from_numpy(np.array(value)) if isinstance(value, np.ndarray) else value

    def is_tensor(self, value: Any) -> bool:
        return isinstance(value, torch.Tensor)

    def data(self, tensor: Any) -> Array:
        return np.array(tensor.detach().cpu().numpy())

    def gradients(self, run: Callable[[], tuple[Any, list[Any]]], dy: Array) -> list[Array | None]:
        y, leaves = run()
        wanted = [leaf for leaf in leaves if leaf is not None and leaf.requires_grad]
        if not y.requires_grad:
            return [None] * len(leaves)
        cotangent = torch.from_numpy(np.array(dy)).to(y.dtype)
        found = iter(torch.autograd.grad(y, wanted, cotangent, allow_unused=True))
        return [
            None if leaf is None or not leaf.requires_grad else self._array(next(found), leaf, place == 0)
            for place, leaf in enumerate(leaves)
        ]

    @staticmethod
    def _array(gradient: Any, leaf: Any, is_input: bool) -> Array | None:
        if gradient is None:  # the output does not depend on it: a target may be a constant
            return np.zeros(leaf.shape, leaf.detach().numpy().dtype) if is_input else None
        return np.asarray(gradient.numpy())


@dataclass(frozen=True)
class Small:
    """A small engine: a class in the user's own file.

    Attributes:
        kind: the class of its tensors.
        value: the attribute of the array, `data` or another.
        gradient: the attribute of the gradient, `grad` or another.
    """

    kind: type
    value: str = "data"
    gradient: str = "grad"

    @property
    def note(self) -> str:
        """For the report."""
        return f"it takes tensors of its own class {self.kind.__name__}"

    def leaf(self, array: Array | None) -> Any:
        if array is None or array.dtype.kind != "f":
            return array
        wants = any(p.name == "requires_grad" for p in parameters_of(self.kind) or ())
        return self.kind(np.array(array), requires_grad=True) if wants else self.kind(np.array(array))

    def parameter(self, leaf: Any) -> Any:
        return leaf

    def constant(self, value: Any) -> Any:
        return value

    def is_tensor(self, value: Any) -> bool:
        return isinstance(value, self.kind)

    def data(self, tensor: Any) -> Array:
        while self.is_tensor(tensor):
            tensor = getattr(tensor, self.value)
        return np.asarray(tensor)

    def gradients(self, run: Callable[[], tuple[Any, list[Any]]], dy: Array) -> list[Array | None]:
        y, leaves = run()
        takes = [p for p in parameters_of(y.backward) or () if plain(p.name) in names.UPSTREAMS | {"seed"}]
        if takes:
            y.backward(**{takes[0].name: np.array(dy)})
        else:  # Σ dy·y has the gradients of y for the upstream dy
            (y * self.kind(np.array(dy))).sum().backward()
        own = [getattr(leaf, self.gradient) if self.is_tensor(leaf) else None for leaf in leaves]
        return [None if gradient is None else self.data(gradient) for gradient in own]


TORCH = Torch()


@dataclass(frozen=True)
class _Tape:
    """A pullback that differentiates the output of `run`."""

    engine: Engine
    run: Callable[[], tuple[Any, list[Any]]]
    arrays: tuple[Array | None, ...]  # whose gradients have their shapes
    call: Call | None = field(default_factory=CALL.get)  # the forward's, because `run` repeats it

    def __call__(self, dy: Array) -> list[Array | None]:
        token = CALL.set(self.call)
        try:
            found = self.engine.gradients(self.run, dy)
        finally:
            CALL.reset(token)
        return [_shaped_like(*each) for each in zip(found, self.arrays, strict=False)]

    @property
    def second(self) -> Callable[..., list[Array | None]] | None:
        """The pullback of the gradients, if the engine differentiates them."""
        return self._second if isinstance(self.engine, Torch) else None

    def _second(self, dy: Array, *directions: Array | None) -> list[Array | None]:
        token = CALL.set(self.call)
        try:
            found = differentiated_twice(self.run, dy, directions)
        finally:
            CALL.reset(token)
        return [_shaped_like(*each) for each in zip(found, (*self.arrays, dy), strict=True)]

    @property
    def by_torch(self) -> bool:
        """Whether torch differentiates it; the gradient at a kink is then torch's own choice."""
        return self.engine == TORCH


def differentiated_twice(
    run: Callable[[], tuple[Any, list[Any]]], dy: Array, directions: Sequence[Array | None]
) -> list[Array | None]:
    """The gradients of Σ⟨direction, gradient⟩ by torch, with respect to the leaves and to dy.

    Gradients that torch cannot differentiate, because they were computed without a graph, are constants.
    """
    y, leaves = run()
    upstream = torch.from_numpy(np.array(dy)).to(y.dtype).requires_grad_()
    wanted = [leaf for leaf in leaves if leaf is not None and leaf.requires_grad]
    found = torch.autograd.grad(y, wanted, upstream, create_graph=True, allow_unused=True)
    return _pulled_back(found, leaves, upstream, directions)


def _pulled_back(
    gradients: Sequence[Any], leaves: list[Any], upstream: Any, directions: Sequence[Array | None]
) -> list[Array | None]:
    """The gradients of Σ⟨direction, gradient⟩; `gradients` are those of the leaves that require one."""
    floating = [(leaf, v) for leaf, v in zip(leaves, directions, strict=True) if _requires_grad(leaf)]
    along = [
        (gradient, torch.from_numpy(np.array(v)).reshape(gradient.shape).to(gradient.dtype))
        for gradient, (_, v) in zip(gradients, floating, strict=True)
        if gradient is not None and gradient.requires_grad and v is not None
    ]
    if along:  # backward, because grad does not run an error that once_differentiable leaves in the graph
        torch.autograd.backward([g for g, _ in along], [v for _, v in along])
    return [_gradient_of(leaf) if _requires_grad(leaf) else None for leaf in (*leaves, upstream)]


def _gradient_of(leaf: Any) -> Array:
    gradient = torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
    return np.asarray(gradient.numpy(force=True))


def _requires_grad(leaf: Any) -> bool:
    return isinstance(leaf, torch.Tensor) and leaf.requires_grad


def _shaped_like(gradient: Array | None, array: Array | None) -> Array | None:
    if gradient is None or array is None or array.ndim != 1 or gradient.size != array.size:
        return gradient
    return gradient.reshape(array.shape)


@contextmanager
def default_dtype_of(x: Array | None) -> Iterator[None]:
    """Let `torch.zeros(…)` without a dtype have the precision of the case."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64 if x is not None and x.dtype == np.float64 else before)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def engine_of(function: Any) -> Engine | None:
    """The engine in the function's file: a class with backward, data and grad, or other names; None if none."""
    scope = getattr(inspect.unwrap(function), "__globals__", {})
    for value in scope.values():
        if not inspect.isclass(value) or not callable(getattr(value, "backward", None)):
            continue
        if issubclass(value, (torch.Tensor, torch.nn.Module, torch.autograd.Function)):
            continue
        try:
            made: Any = value(np.ones(2))  # type: ignore[call-arg]  # an unknown constructor
        except Exception:  # not an engine: it cannot be constructed from an array
            continue
        attributes = ([n for n in own if hasattr(made, n)] for own in (ENGINE_VALUES, ENGINE_GRADIENTS))
        for array, gradient in itertools.product(*attributes):
            return Small(value, array, gradient)
    return None


def imports_torch(written: Any) -> bool:
    """Whether the file of a function, of a class or of the first one of a pair imports torch."""
    function = inspect.unwrap(written[0] if isinstance(written, (tuple, list)) else written)
    methods = vars(function).values() if inspect.isclass(function) else (function,)
    scopes = [getattr(getattr(m, "__func__", m), "__globals__", {}) for m in methods]
    modules = {value.__name__ for scope in scopes for value in scope.values() if inspect.ismodule(value)}
    return any(name.partition(".")[0] == "torch" for name in modules)


def uses_torch(written: Any) -> bool:
    """Whether a function, or the first one of a pair, uses torch, or its file imports torch but not NumPy."""
    function = inspect.unwrap(written[0] if isinstance(written, (tuple, list)) else written)
    if inspect.isclass(function) and issubclass(function, torch.autograd.Function):
        return True
    scope, code = getattr(function, "__globals__", {}), getattr(function, "__code__", None)
    called = [scope.get(name) for name in getattr(code, "co_names", ())]
    if any(getattr(value, "__name__", "").split(".")[0] == "torch" for value in called):
        return True
    modules = {value.__name__.partition(".")[0] for value in scope.values() if inspect.ismodule(value)}
    return "torch" in modules and "numpy" not in modules


def over_tensors(made: Implementation, engine: Engine) -> Implementation:
    """Adapt a function of the engine's tensors, with a pullback, with a cache and a backward, or with neither."""

    def convert(value: Any) -> Any:
        return engine.data(value) if engine.is_tensor(value) else value

    statistics = buffers(made.written) if inspect.isroutine(made.written) else {}

    def op(*arrays: Array | None, **options: Any) -> Any:
        def run() -> tuple[Any, list[Any]]:
            # Running statistics are updated in place, which torch rejects for a leaf that requires a gradient.
            leaves = [
                engine.constant(array) if place in statistics else engine.leaf(array)
                for place, array in enumerate(arrays)
            ]
            given = {k: engine.leaf(v) if isinstance(v, np.ndarray) else v for k, v in options.items()}
            with default_dtype_of(arrays[0]):
                return made.op(*leaves, **{k: _detached(v) for k, v in given.items()}), leaves

        returned, leaves = run()
        for place, name in statistics.items():
            if place < len(arrays) and arrays[place] is not None:
                keep(name, engine.data(leaves[place]))
        if engine.is_tensor(returned):
            return convert(returned), _Tape(engine, run, arrays)
        if not isinstance(returned, tuple):
            return returned
        y, pullback = returned if len(returned) == 2 else (returned[0], returned[1:])
        if not callable(pullback):
            rest = pullback if isinstance(pullback, (tuple, list)) else (pullback,)
            return convert(y), tuple(map(convert, rest))

        def back(dy: Array) -> Any:
            with torch.no_grad(), default_dtype_of(arrays[0]):
                gradients = pullback(_detached(engine.leaf(np.asarray(dy))))
            return tuple(map(convert, _listed(gradients)))

        def second(dy: Array, *directions: Array | None) -> Any:
            (_, differentiable), leaves = run()
            upstream = torch.from_numpy(np.array(dy)).requires_grad_()
            with default_dtype_of(arrays[0]):
                gradients = _listed(differentiable(upstream))
            own = [gradient for gradient, leaf in zip(gradients, leaves, strict=False) if _requires_grad(leaf)]
            return _pulled_back(own, leaves, upstream, directions)

        return convert(y), Pullback(back, takes_upstream=True, second=second if engine == TORCH else None)

    return made.around(op, engine.note)


def _listed(gradients: Any) -> Sequence[Any]:
    return gradients if isinstance(gradients, (tuple, list)) else (gradients,)


def _detached(value: Any) -> Any:
    return value.detach() if isinstance(value, torch.Tensor) else value


def of_module(kind: type, forward: str, engine: Engine) -> Implementation:
    """Adapt a class whose forward is differentiated: it takes its sizes, and parameters are set afterwards."""

    def build(arguments: Arguments, parameters: list[Array | None]) -> Any:
        given = constructor_arrays(kind, parameters)
        constructor = arguments.bind(kind, 0, given) if parameters_of(kind) else {}
        return kind(**{name: engine.constant(value) for name, value in constructor.items()})

    return Implementation(
        _Module(build, kind, forward, engine),
        forward_place=place_of(getattr(kind, forward)),
        notes=(engine.note,),
        lenient=True,
    )


def of_instance(module: torch.nn.Module) -> Implementation:
    """Adapt an instance of a module; only cases with the options in its attributes are checked."""
    module = getattr(module, "_orig_mod", module)  # torch.compile wraps the module, which has the signature

    def build(arguments: Arguments, parameters: list[Array | None]) -> Any:  # noqa: ARG001  # parameters are set afterwards
        return configured(module, arguments)

    kind = type(module)
    return Implementation(
        _Module(build, kind, forward_name(kind), TORCH),
        forward_place=place_of(getattr(kind, forward_name(kind))),
        notes=(TORCH.note,),
        lenient=True,
    )


@dataclass(frozen=True)
class _Module:
    build: Callable[[Arguments, list[Array | None]], Any]
    kind: type
    forward: str
    engine: Engine

    def __call__(self, *arrays: Array | None, **options: Any) -> Any:
        def run() -> tuple[Any, list[Any]]:
            with default_dtype_of(arrays[0]):
                return self._run(arrays, options)

        y, _ = run()
        return self.engine.data(y), _Tape(self.engine, run, arrays)

    def _run(self, arrays: tuple[Array | None, ...], options: dict[str, Any]) -> tuple[Any, list[Any]]:
        engine, arguments = self.engine, arguments_of(arrays, options)
        count = self._inputs(arrays)
        inputs, parameters = [engine.leaf(a) for a in arrays[:count]], list(arrays[count:])
        layer = self.build(arguments, parameters)
        leaves = [*inputs, *self._set(layer, parameters)]
        if isinstance(layer, torch.nn.Module):
            if "training" in options and not _depends_on_autograd(getattr(self.kind, self.forward)):
                layer.train(options["training"])
                arguments.read.add("training")
            registers = any({*names.STATISTICS} & owner._buffers.keys() for owner in layer.modules())
            holders = self._set_buffers(layer, arguments) if registers else set_in(layer, arguments)
        else:
            holders = set_in(layer, arguments)
        forward = getattr(layer, self.forward) if not isinstance(layer, torch.nn.Module) else layer
        keywords = arguments.bind(getattr(self.kind, self.forward), 1 + count)
        keywords = {
            name: value for name, value in keywords.items() if name in options or names.size_of(name) is None
        }
        arguments.decline_unread()
        y = forward(*inputs, **{name: engine.constant(value) for name, value in keywords.items()})
        keep_from(holders)
        return (y[0] if isinstance(y, tuple) else y), leaves

    def _inputs(self, arrays: tuple[Array | None, ...]) -> int:
        """The number of arrays that the forward takes: the input, and for a loss the target."""
        parameters = (parameters_of(getattr(self.kind, self.forward)) or ())[1:]
        targets = len(parameters) > 1 and plain(parameters[1].name) in names.TARGETS | {"y", "indices"}
        return min(len(arrays), 2 if targets else 1)

    def _set(self, layer: Any, parameters: list[Array | None]) -> list[Any]:
        leaves: list[Any] = []
        for value, stems, what in zip(
            parameters, (names.WEIGHT_ATTRIBUTES, names.BIAS_ATTRIBUTES), ("weight", "bias"), strict=False
        ):
            holder = parameter_holder(layer, stems, lambda v: self.engine.is_tensor(v))
            if holder is None or (holder[0][holder[1]] is None and value is not None):
                if value is not None and not (holder is not None and _changes_nothing(what, value)):
                    raise missing_parameter(self.kind, what, holder is not None)
                leaves.append(None)
                continue
            space, key = holder
            own = space[key]
            if value is None:
                if own is not None:
                    raise Declined(f"it always has a {what}", {what: True})
                leaves.append(None)
                continue
            shape = tuple(np.shape(self.engine.data(own)))
            flat = value.size == np.prod(shape) and value.ndim == 1
            fitted = value.reshape(shape) if flat else value
            space[key] = self.engine.parameter(self.engine.leaf(fitted))
            leaves.append(space[key])
        return leaves

    @staticmethod
    def _set_buffers(layer: torch.nn.Module, arguments: Arguments) -> Holders:
        found: Holders = {}
        for owner in layer.modules():
            for name in names.STATISTICS:
                if owner._buffers.get(name) is not None and name in arguments.options:
                    owner._buffers[name] = torch.from_numpy(np.array(arguments.options[name]))
                    arguments.read.add(name)
                    found[name] = owner._buffers, name
        return found


def _changes_nothing(what: str, value: Array) -> bool:
    """Whether a weight is 1, or a bias 0, as for a case of batch_norm without parameters."""
    return bool((value == (1 if what == "weight" else 0)).all())


def _depends_on_autograd(function: Any) -> bool:
    """Whether a function, or one that it calls, distinguishes the modes by `torch.is_grad_enabled()`."""
    scope, code = getattr(function, "__globals__", {}), getattr(function, "__code__", None)
    called = getattr(code, "co_names", ())
    inner = (getattr(scope.get(name), "__code__", None) for name in called)
    return any("is_grad_enabled" in names_of for names_of in (called, *(c.co_names for c in inner if c)))


def of_custom_op(op: Any) -> Callable[..., Any]:
    """Wrap an operator of `torch.library.custom_op` in a function with the signature of its definition."""

    @functools.wraps(op._init_fn)
    def call(*arrays: Any, **options: Any) -> Any:
        return op(*arrays, **options)

    return call


def of_autograd_function(kind: type[torch.autograd.Function]) -> Callable[..., Any]:
    """Wrap `apply`, which takes no keywords, in a function with the signature of the forward without ctx."""
    signature = inspect.signature(kind.forward)
    takes_context = kind.setup_context is torch.autograd.Function.setup_context
    own = signature.replace(parameters=[*signature.parameters.values()][takes_context:])

    def apply(*arrays: Any, **options: Any) -> Any:
        return kind.apply(*own.bind(*arrays, **options).args)  # type: ignore[no-untyped-call]  # torch's own

    apply.__signature__ = own  # type: ignore[attr-defined]  # read by inspect.signature
    return apply
