"""Adapts optimizers: classes with `step(grads)` or `update(params, grads)` over dicts or lists; update rules."""

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from parity.cases.steps import between_steps
from parity.cases.torch_op import Array
from parity.subjects import names
from parity.subjects.arguments import parameters_of
from parity.subjects.attribute_errors import place_of
from parity.subjects.errors import Declined, Unrecognised
from parity.subjects.implementation import CALL, Implementation
from parity.subjects.names import gradient_names, plain, words

# Values that switch a setting off: an optimizer without the setting is checked only at this value.
WITHOUT = {
    "momentum": 0.0, "dampening": 0.0, "weight_decay": 0.0, "nesterov": False, "amsgrad": False, "maximize": False,
    "centered": False,
}  # fmt: skip
# Settings that may be constants in the code, with torch's defaults; other values are determined by trying.
FIXED: dict[str, Any] = {"betas": (0.9, 0.999), "eps": 1e-8, "alpha": 0.99}
_STEPS = ("step", "update", "update_params", "apply_gradients", "update_parameters")
_ALIASES = {
    "lr": words("lr learningrate eta alpha stepsize rate"),
    "momentum": words("momentum mu"),
    "dampening": words("dampening"),
    "weight_decay": words("weightdecay wd"),
    "nesterov": words("nesterov"),
    "betas": words("betas"),
    "eps": words("eps epsilon"),
    "alpha": words("alpha rho decay decayrate beta gamma smoothing"),
    "amsgrad": words("amsgrad"),
    "maximize": words("maximize"),
    "centered": words("centered"),
}
_BETAS = {alias: place for place, name in enumerate(("1", "2")) for alias in (f"beta{name}", f"b{name}")}
_PARAMETERS = words("params parameters param p weights w")


def steps(kind: type) -> bool:
    """Whether the class is an optimizer: it has a method for a step and no forward."""
    return any(callable(getattr(kind, name, None)) for name in _STEPS)


def is_rule(function: Callable[..., Any]) -> bool:
    """Whether the function is an update rule: `w, config = rule(w, dw, config)`."""
    places = parameters_of(function) or ()
    return (
        len(places) == 3
        and plain(places[0].name) in names.WEIGHTS | names.INPUTS | _PARAMETERS
        and plain(places[1].name) in gradient_names(names.WEIGHTS | names.INPUTS | _PARAMETERS) | names.UPSTREAMS
        and names.is_dict(places[2].name)
    )


class Settings(dict[str, Any]):
    """torch's settings under all their common names; records the settings that are read."""

    def __init__(self, settings: dict[str, Any], fixed: frozenset[str] = frozenset()) -> None:
        super().__init__()
        self.settings, self.fixed, self.taken = settings, fixed, set[str]()

    def value(self, name: str) -> Any:
        """torch's value of the setting; raises KeyError if torch has no such setting."""
        short = plain(name)
        if name in self.settings and short not in _BETAS:
            self.taken.add(name)
            return self.settings[name]
        if short in _BETAS and "betas" in self.settings:
            self.taken.add("betas")
            return self.settings["betas"][_BETAS[short]]
        named = [own for own, aliases in _ALIASES.items() if short in aliases and own in self.settings]
        own = short if short in named else next(iter(named), None)  # RMSprop's alpha, and Adam's learning rate
        if own is None:
            raise KeyError(name)
        self.taken.add(own)
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
    step = next(name for name in _STEPS if callable(getattr(kind, name, None)))
    return Implementation(_Optimizer(kind, step), written=kind, forward_place=place_of(getattr(kind, step)))


@dataclass(frozen=True)
class _Optimizer:
    kind: type
    step: str
    given: Literal["dicts", "lists", "arrays"] = "dicts"  # how parameters and gradients are passed

    def __call__(self, parameter: Array, *gradients: Array | None, **settings: Any) -> Any:
        given = _settings(settings)
        w = parameter.copy()
        # A second parameter, updated in every step before w, reveals a count or a buffer that both share.
        neighbour = np.ones(2, w.dtype)
        own = self._container(neighbour, w)
        optimizer = self._made(own, given)
        takes_parameters = len(_places(getattr(self.kind, self.step))) > 2
        memory, trajectory = np.empty_like(w), []
        for gradient in gradients:
            grads = self._container(neighbour.copy(), _placed(gradient, memory))
            step = getattr(optimizer, self.step)
            returned = step(own, grads) if takes_parameters else step(grads)
            _write_back(memory, gradient)
            if returned is not None and type(returned) is type(own):
                own = returned  # returns new parameters instead of updating in place
            trajectory.append(
                np.array(own if self.given == "arrays" else own["w" if isinstance(own, dict) else 1])
            )
            between = between_steps()
            between.changed |= between.lr is not None and _changed_lr(optimizer, settings["lr"], between.lr)
        return np.stack(trajectory), None

    def _container(self, neighbour: Array, w: Array | None) -> Any:
        if self.given == "arrays":
            return w
        return [neighbour, w] if self.given == "lists" else {"neighbour": neighbour, "w": w}

    def _made(self, own: Any, given: Settings) -> Any:
        keywords: dict[str, Any] = {}
        for p in parameters_of(self.kind) or ():
            if p.kind is p.VAR_KEYWORD:
                keywords |= {name: given[name] for name in given.settings if name not in given.taken}
            elif plain(p.name) in _PARAMETERS and p.default is inspect.Parameter.empty:
                keywords[p.name] = own
            elif p.name in given:
                keywords[p.name] = given[p.name]
            elif p.default is p.empty and p.kind is not p.VAR_POSITIONAL:
                raise Unrecognised(
                    f"{self.kind.__name__} takes {p.name!r}, and parity cannot find out what to pass"
                )
        given.decline_unread()
        return self.kind(**keywords)


def _changed_lr(optimizer: Any, before: float, lr: float) -> bool:
    """Set the step size if the optimizer stores it under a common name; return whether it does."""
    own = getattr(optimizer, "__dict__", {})
    names_of_lr = [n for n, value in own.items() if plain(n) in _ALIASES["lr"] and value in (before, lr)]
    for name in names_of_lr:
        setattr(optimizer, name, lr)
    return bool(names_of_lr)


def _places(method: Callable[..., Any]) -> list[inspect.Parameter]:
    return [p for p in parameters_of(method) or () if p.default is p.empty and p.kind is p.POSITIONAL_OR_KEYWORD]
