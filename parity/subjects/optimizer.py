"""Adapts optimizers: classes with `step(grads)` or `update(params, grads)` over dicts or lists; update rules."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from parity.cases.op import Array
from parity.cases.steps import between_steps
from parity.subjects import names
from parity.subjects.arguments import parameters_of, reads_keywords
from parity.subjects.attribute_errors import place_of
from parity.subjects.errors import Declined, Unrecognised
from parity.subjects.implementation import CALL, Implementation
from parity.subjects.names import gradient_names, plain, words
from parity.subjects.optimizer_arrays import Arrays, Given

# Values that switch a setting off: an optimizer without the setting is checked only at this value.
WITHOUT = {
    "momentum": 0.0, "dampening": 0.0, "weight_decay": 0.0, "nesterov": False, "amsgrad": False, "maximize": False,
    "centered": False, "initial_accumulator_value": 0.0, "lr_decay": 0.0,
}  # fmt: skip
# Settings that may be constants in the code, with torch's defaults; other values are determined by trying.
FIXED: dict[str, Any] = {"betas": (0.9, 0.999), "eps": 1e-8, "alpha": 0.99}
_STEPS = ("step", "update", "update_params", "apply_gradients", "update_parameters")
ALIASES = {
    "lr": words("lr learningrate eta alpha stepsize rate"),
    "dampening": words("dampening"),
    "weight_decay": words("weightdecay wd"),
    "nesterov": words("nesterov"),
    "betas": words("betas"),
    "eps": words("eps epsilon"),
    "alpha": words("alpha rho decay decayrate beta gamma smoothing"),
    "momentum": words("momentum mu beta"),  # after alpha, which is called beta where there is one
    "amsgrad": words("amsgrad"),
    "maximize": words("maximize"),
    "centered": words("centered"),
}
_BETAS = {alias: place for place, name in enumerate(("1", "2")) for alias in (f"beta{name}", f"b{name}")}
PARAMETERS = words("params parameters param p weights w")
GRADIENTS = words("grads gradients grad gradient g dparams")
_PAIRS = words("""gradsandvars gradientsandvars gradientsandvariables gradsandparams gradientsandparams
    gradsvars gradsparams varsandgrads paramsandgrads paramsgrads parametersandgradients""")
_MODELS = words("model net network layer layers")
COUNTS = words("t step iteration iterations iter it epoch")


def steps(kind: type) -> bool:
    """Whether the class is an optimizer: it has a method for a step and no forward."""
    return _step_of(kind) is not None


def _step_of(kind: type) -> str | None:
    """The name of the method for a step; `__call__` if it takes parameters and gradients."""
    named = next((name for name in _STEPS if callable(getattr(kind, name, None))), None)
    if named is not None or "__call__" not in dir(kind):
        return named
    places = [plain(p.name) for p in parameters_of(kind.__call__) or ()][1:3]
    return "__call__" if len(places) == 2 and {*places} <= PARAMETERS | GRADIENTS else None


def is_rule(function: Callable[..., Any]) -> bool:
    """Whether the function is an update rule: `w, config = rule(w, dw, config)`."""
    places = parameters_of(function) or ()
    return (
        len(places) == 3
        and plain(places[0].name) in names.WEIGHTS | names.INPUTS | PARAMETERS
        and plain(places[1].name) in gradient_names(names.WEIGHTS | names.INPUTS | PARAMETERS) | names.UPSTREAMS
        and names.is_dict(places[2].name)
    )


class Settings(dict[str, Any]):
    """torch's settings under all their common names; records the settings that are read."""

    def __init__(self, settings: dict[str, Any], fixed: frozenset[str] = frozenset()) -> None:
        super().__init__()
        self.settings, self.fixed, self.taken = settings, fixed, set[str]()
        self.read: dict[str, str] = {}  # the name under which a setting was read first

    def value(self, name: str) -> Any:
        """torch's value of the setting; raises KeyError if torch has no such setting."""
        short = plain(name)
        if name in self.settings and short not in _BETAS:
            self.taken.add(name)
            self.read.setdefault(name, short)
            return self.settings[name]
        if short in _BETAS and "betas" in self.settings:
            self.taken.add("betas")
            return self.settings["betas"][_BETAS[short]]
        # An omitted alpha is not the learning rate, which has been read under its own name.
        named = [
            own
            for own, aliases in ALIASES.items()
            if short in aliases and own in self.settings and self.read.get(own, short) == short
        ]
        own = short if short in named else next(iter(named), None)  # RMSprop's alpha, and Adam's learning rate
        if own is None:
            raise KeyError(name)
        self.taken.add(own)
        self.read.setdefault(own, short)
        return self.settings[own]

    def decline_unread(self) -> None:
        """Raise Declined if the case needs a setting that was not read."""
        unread = self.settings.keys() - self.taken - self.fixed
        left = {name: (WITHOUT | FIXED).get(name, self.settings[name]) for name in sorted(unread)}
        lacking = [name for name in left if name not in WITHOUT | FIXED]
        if lacking:
            raise Declined(f"it has no parameter for {', '.join(lacking)}")
        if any(self.settings[name] != value for name, value in left.items()):
            raise Declined(f"it has no parameter for {', '.join(left)}", left)

    def __getitem__(self, key: str) -> Any:
        return super().__getitem__(key) if super().__contains__(key) else self.value(key)

    def get(self, key: str, default: Any = None) -> Any:
        try:
            return self[key]
        except KeyError:
            return default

    def setdefault(self, key: str, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        return self[key]

    def __contains__(self, key: object) -> bool:
        if super().__contains__(key):
            return True
        try:
            self.value(str(key))
        except KeyError:
            return False
        return True


def _settings(settings: dict[str, Any]) -> Settings:
    """The settings of the call in progress."""
    call = CALL.get()
    return Settings(settings, frozenset() if call is None else call.fixed)


def _placed(gradient: Array | None, memory: Array) -> Array | None:
    """Store the gradient in the memory of the previous one, which reveals a buffer that aliases a gradient."""
    if gradient is not None:
        memory[...] = gradient
    return None if gradient is None else memory


def _write_back(memory: Array, gradient: Array | None) -> None:
    """Copy a step's changes of its gradient back to the caller's array."""
    if gradient is not None and gradient.flags.writeable and not np.array_equal(memory, gradient):
        gradient[...] = memory


def of_rule(rule: Callable[..., Any]) -> Implementation:
    """Adapt `w, config = rule(w, dw, config)`, whose config contains the settings and the state."""

    def op(parameter: Array, *gradients: Array | None, **settings: Any) -> Any:
        w, config, trajectory = parameter.copy(), _settings(settings), []
        memory = np.empty_like(w)
        for gradient in gradients:
            returned = rule(w, _placed(gradient, memory), config)
            _write_back(memory, gradient)
            w = returned[0] if isinstance(returned, tuple) else returned
            config.decline_unread()
            trajectory.append(np.array(w))
        return np.stack(trajectory), None

    return Implementation(op, written=rule, forward_place=place_of(rule))


def of_optimizer(kind: type) -> Implementation:
    """Adapt `C({name: array}, **settings).step({name: gradient})`, or `C(**settings).update(params, grads)`.

    The settings have torch's names, or common ones such as beta1. A gradient may be None.
    """
    step = _step_of(kind) or _STEPS[0]
    of_torch = issubclass(kind, torch.optim.Optimizer)
    made = _Optimizer(kind, lambda optimizer: getattr(optimizer, step), "tensors" if of_torch else "dicts")
    return Implementation(made, written=kind, forward_place=place_of(getattr(kind, step)))


def is_closure(function: Callable[..., Any]) -> bool:
    """Whether it makes a step: `step = make(params, lr)`, `step(grads)`."""
    places = [plain(p.name) for p in parameters_of(function) or ()]
    return (
        len(places) > 1 and places[0] in ("params", "parameters") and any(p in ALIASES["lr"] for p in places[1:])
    )


def of_closure(make: Callable[..., Any]) -> Implementation:
    """Adapt `step = make(params, **settings)`, then `step(grads)`, or `step.send(grads)` if it is a generator."""
    return Implementation(_Optimizer(make, _stepper), written=make, forward_place=place_of(make))


def _stepper(step: Any) -> Callable[..., Any]:
    if not inspect.isgenerator(step):
        return step  # type: ignore[no-any-return]  # what the user's function returned
    next(step)
    return lambda grads: step.send(grads)


def is_update(function: Callable[..., Any]) -> bool:
    """Whether it updates parameters: `update(params, grads, state, lr=…)`."""
    places = [plain(p.name) for p in parameters_of(function) or ()]
    return (
        len(places) > 2
        and places[0] in PARAMETERS
        and (places[1] in GRADIENTS or places[1] in gradient_names(names.WEIGHTS | PARAMETERS))
        and any(p in ALIASES["lr"] for p in places[2:])
    )


def of_update(update: Callable[..., Any]) -> Implementation:
    """Adapt `update(params, grads, state, …, lr=…)`, which writes to the parameters or returns them."""
    return Implementation(_Optimizer(update, None), written=update, forward_place=place_of(update))


@dataclass(frozen=True)
class _Optimizer:
    """An optimizer over arrays in one of several forms.

    Attributes:
        kind: the class, the function that makes a step, or the update.
        stepper: what makes the step function of an optimizer; None where `kind` is the update itself.
        given: how parameters and gradients are passed.
    """

    kind: Callable[..., Any]
    stepper: Callable[[Any], Callable[..., Any]] | None
    given: Given = "dicts"

    def __call__(self, parameter: Array, *gradients: Array | None, **settings: Any) -> Any:
        given = _settings(settings)
        w = parameter.copy()
        # A second parameter, updated in every step before w, reveals a count or a buffer that both share.
        neighbour = np.ones(2, w.dtype)
        arrays = Arrays.of(self.given, w, neighbour)
        optimizer: Any = None
        if self.stepper is None:
            step: Callable[..., Any] = _Update(self.kind, arrays, given)
        else:
            optimizer = self.kind(**self._keywords(arrays, given))
            step = self.stepper(optimizer)
        memory, trajectory = np.empty_like(w), []
        for count, gradient in enumerate(gradients, 1):
            grads = arrays.gradients(_placed(gradient, memory), neighbour.copy())
            _around_step(optimizer, "pre_update_params")
            returned = step(grads, count) if isinstance(step, _Update) else _call(step, arrays, grads, count)
            _around_step(optimizer, "post_update_params")
            _write_back(memory, gradient)
            arrays.take(returned)
            trajectory.append(arrays.value)
            between = between_steps()
            between.changed |= between.lr is not None and _changed_lr(optimizer, settings["lr"], between.lr)
        return np.stack(trajectory), None

    def _keywords(self, arrays: Arrays, given: Settings) -> dict[str, Any]:
        keywords: dict[str, Any] = {}
        for p in parameters_of(self.kind) or ():
            short = plain(p.name)
            if p.kind is p.VAR_KEYWORD and not reads_keywords(self.kind):
                continue
            if p.kind is p.VAR_KEYWORD:
                keywords |= {name: given[name] for name in given.settings if name not in given.taken}
            elif short in PARAMETERS and p.default is inspect.Parameter.empty:
                keywords[p.name] = arrays.own
            elif short in _MODELS:
                keywords[p.name] = _model(short, arrays)
            elif p.name in given and not (short == "decay" and p.default == 0):  # of the learning rate
                keywords[p.name] = given[p.name]
            elif p.default is p.empty and p.kind is not p.VAR_POSITIONAL:
                raise Unrecognised(
                    f"{self.kind.__name__} takes {p.name!r}, and parity cannot find out what to pass"
                )
        given.decline_unread()
        return keywords


class _Update:
    """The step of an update function, with the states that it is given and may return."""

    def __init__(self, update: Callable[..., Any], arrays: Arrays, given: Settings) -> None:
        self.update, self.arrays, self.settings = update, arrays, {}
        self.states: dict[str, Any] = {}
        required = []
        for p in (parameters_of(update) or ())[2:]:
            if plain(p.name) in COUNTS:
                self.settings[p.name] = 1
            elif p.name in given:
                self.settings[p.name] = given[p.name]
            elif p.default is p.empty:
                required.append(p.name)
        given.decline_unread()
        self.states = dict(zip(required, _initial_states(update, arrays, len(required)), strict=True))

    def __call__(self, grads: Any, count: int) -> Any:
        counts = {name: count for name in self.settings if plain(name) in COUNTS}
        returned = self.update(self.arrays.own, grads, **{**self.settings, **counts, **self.states})
        if not isinstance(returned, tuple):
            return returned
        self.states.update(zip(self.states, returned[1:], strict=False))
        return returned[0]


def _initial_states(update: Callable[..., Any], arrays: Arrays, count: int) -> list[Any]:
    """From the function of its module that makes them, as initialize_adam(parameters) does; else empty dicts.

    A lone array starts with zeros.
    """
    if not count:
        return []
    last = update.__name__.rpartition("_")[2]
    makers = [
        value
        for name, value in getattr(update, "__globals__", {}).items()
        if name.startswith("init") and inspect.isfunction(value) and len(_places(value)) == 1
    ]
    for make in sorted(makers, key=lambda maker: last not in maker.__name__):
        try:
            made = make(arrays.own)
        except (KeyError, AttributeError, TypeError):  # it makes the states of another form
            continue
        found = list(made) if isinstance(made, tuple) else [made]
        if len(found) == count:
            return found
    if arrays.given == "arrays":
        return [np.zeros_like(arrays.own) for _ in range(count)]
    return [{} for _ in range(count)]


def _call(step: Callable[..., Any], arrays: Arrays, grads: Any, count: int) -> Any:
    """Call a step with what its parameters are named for; of two unknown ones the last is for the gradients."""
    given: list[Any] = []
    places = [p for p in parameters_of(step) or () if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
    names_of_places = [plain(p.name) for p in places]
    for place, short in enumerate(names_of_places):
        if short in _MODELS:
            given.append(_model(short, arrays))
        elif short in _PAIRS:
            given.append(arrays.zipped(grads, gradients_first=short.startswith("grad")))
        elif short in COUNTS:
            given.append(count)
        elif short.endswith(("name", "key", "id")) or short in ("idx", "index", "i"):
            given.append("w")
        elif short in PARAMETERS or (place == 0 and len(places) > 1):
            given.append(arrays.own)
        else:
            given.append(grads)
    return step(*given)


def _model(short: str, arrays: Arrays) -> Any:
    """What a parameter with this name takes: a layer, a list of layers or a model."""
    return arrays.own if short == "layer" else arrays.model.layers if short == "layers" else arrays.model


def _around_step(optimizer: Any, name: str) -> None:
    method = getattr(optimizer, name, None)
    if callable(method):
        method()


def _changed_lr(optimizer: Any, before: float, lr: float) -> bool:
    """Set the step size if the optimizer stores it under a common name; return whether it does."""
    own = getattr(optimizer, "__dict__", {})
    names_of_lr = [n for n, value in own.items() if plain(n) in ALIASES["lr"] and value in (before, lr)]
    for name in names_of_lr:
        setattr(optimizer, name, lr)
    groups = getattr(optimizer, "param_groups", []) if isinstance(optimizer, torch.optim.Optimizer) else []
    for group in groups:
        group["lr"] = lr
    return bool(names_of_lr or groups)


def _places(method: Callable[..., Any]) -> list[inspect.Parameter]:
    return [p for p in parameters_of(method) or () if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
