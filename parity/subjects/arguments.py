"""Translates torch's options to the keywords of an implementation."""

import dis
import inspect
from collections.abc import Callable, Mapping
from functools import lru_cache, partial
from typing import Any

import numpy as np
import torch

from parity.cases.op import Array
from parity.cases.state import keep
from parity.subjects import names
from parity.subjects.errors import Declined, Unrecognised
from parity.subjects.implementation import CALL
from parity.subjects.names import one_number, plain, two_numbers

_MISSING = object()


@lru_cache(maxsize=256)
def parameters_of(function: Callable[..., Any]) -> tuple[inspect.Parameter, ...] | None:
    """The parameters that are still unbound; None if a function written in C has no signature."""
    if isinstance(function, partial):
        found = parameters_of(function.func)
        return (
            None
            if found is None
            else tuple(p for p in found[len(function.args) :] if p.name not in function.keywords)
        )
    if inspect.isclass(function) and function.__init__ is torch.nn.Module.__init__:
        return ()  # a module without a constructor of its own: its *args and **kwargs only raise an error
    try:
        return tuple(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return None


@lru_cache(maxsize=256)
def reads_keywords(function: Callable[..., Any]) -> bool:
    """Whether a function reads its `**kwargs`; options that it only swallows are options it does not have."""
    function = getattr(function, "__init__", function) if inspect.isclass(function) else function
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None or not code.co_flags & inspect.CO_VARKEYWORDS:
        return True
    name = code.co_varnames[code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & inspect.CO_VARARGS)]
    return reads(function, name)


@lru_cache(maxsize=256)
def _of_base(function: Callable[..., Any]) -> frozenset[str] | None:
    """The parameters of the base class to which a constructor passes its `**kwargs`; None if any are accepted."""
    if not inspect.isclass(function):
        return None
    own = next(kind for kind in function.__mro__ if "__init__" in vars(kind))
    code = getattr(vars(own)["__init__"], "__code__", None)
    if code is None or "super" not in code.co_names:
        return None
    bases = function.__mro__[function.__mro__.index(own) + 1 :]
    base = next(kind for kind in bases if "__init__" in vars(kind))  # object has one
    if base is object:
        return frozenset()
    parameters = parameters_of(vars(base)["__init__"])
    if parameters is None or any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    return frozenset(p.name for p in parameters[1:])


@lru_cache(maxsize=256)
def reads(function: Callable[..., Any], name: str) -> bool:
    """Whether a function reads one of its parameters; assumed of functions written in C."""
    code = getattr(inspect.unwrap(function), "__code__", None)
    if code is None:
        return True
    return name in code.co_cellvars or any(
        step.argval == name for step in dis.get_instructions(code) if step.opname.startswith("LOAD")
    )


def arguments_of(arrays: tuple[Array | None, ...], options: Mapping[str, Any]) -> "Arguments":
    """The arguments of the call in progress: sizes from the arrays in torch's layout."""
    call = CALL.get()
    sizes = names.sizes(arrays if call is None else call.arrays, options)
    return Arguments(options, sizes, frozenset() if call is None else call.fixed, call is not None and call.pairs)


def bound_by_partial(function: Callable[..., Any], options: Mapping[str, Any]) -> set[str]:
    """The options bound by a functools.partial.

    Raises:
        Declined: an option is bound to a value other than the case's.
    """
    bound = {**function.keywords} if isinstance(function, partial) else {}
    for name in bound.keys() & options.keys():
        if one_number(options[name]) != one_number(bound[name]):
            raise Declined(f"{name} is {bound[name]!r} in the partial", {name: bound[name]})
    return bound.keys() & options.keys()


class Arguments:
    """The options of a case, under the names that the implementation uses.

    Args:
        options: torch's.
        sizes: other values that a signature may require, such as in_channels.
        fixed: options that `supports` restricts to one value, so that no parameter is needed for them.
        pairs: pass (a, a) as a pair instead of one number.
    """

    def __init__(
        self,
        options: Mapping[str, Any],
        sizes: Mapping[str, Any] | None = None,
        fixed: frozenset[str] = frozenset(),
        pairs: bool = False,
    ) -> None:
        self.options, self.sizes, self.fixed = options, sizes or {}, fixed
        self.shaped = two_numbers if pairs else one_number
        self.read: set[str] = set()
        self.named: dict[str, str] = {}  # the alias by which an option was read
        self.takes_shape = False  # the function that is bound takes the shape of its input
        self.rate = 0.0  # of an update inside backward: 0 changes nothing
        self.dicts: list[_Recording] = []  # they record during the call which options are read

    def bind(
        self, function: Callable[..., Any], skip: int, given: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """The keywords for all parameters after the first `skip`; `given` contains further values by plain name.

        Raises:
            Unrecognised: a parameter without a default has an unknown name.
        """
        keywords: dict[str, Any] = {}
        self.read |= bound_by_partial(function, self.options)
        parameters = parameters_of(function)
        if parameters is None:  # written in C: assume torch's parameters
            self.read.update(self.options)
            return dict(self.options)
        self.takes_shape = any(names.size_of(p.name) == "input_shape" for p in parameters)
        for parameter in parameters[skip:]:
            name = parameter.name
            if plain(name) in names.INVERTED and parameter.default is False and not reads(function, name):
                continue  # a placeholder
            if parameter.kind is parameter.VAR_KEYWORD:
                if not reads_keywords(function):
                    continue
                accepted = _of_base(function)
                keywords |= {
                    key: self._option(key)
                    for key in self.options
                    if key not in self.read and (accepted is None or key in accepted)
                }
            elif parameter.kind is not parameter.VAR_POSITIONAL:
                value = given.get(plain(name), _MISSING) if given else _MISSING
                value = self._value(name, parameter.default) if value is _MISSING else value
                if value is not _MISSING:
                    keywords[name] = value
                elif (helper := _helper(function, name)) is not None:
                    keywords[name] = helper()
                elif parameter.default is parameter.empty:
                    raise Unrecognised(_question(function, name))
        return keywords

    def unread(self) -> dict[str, Any]:
        """Options without a parameter, each with the value at which the parameter is not needed.

        Raises:
            Unrecognised: an option has no such value, such as the size of a window.
        """
        left: dict[str, Any] = {}
        for name in sorted(self.options.keys() - self.read - self.fixed - {*names.STATISTICS, "normalized_shape"}):
            if name == "mode":
                left[name] = "constant" if "pad" in self.options else "nearest"
                continue
            if name not in names.DEFAULTS:
                raise Unrecognised(
                    f"it has no parameter for {name}; if {name} is fixed, pass its value: "
                    f'parity.check(…, supports={{"{name}": {self.options[name]!r}}})'
                )
            left[name] = None if name == "stride" and "kernel_size" in self.options else names.DEFAULTS[name]
            if name == "output_size" and "kernel_size" not in self.options:
                left[name] = 1  # of adaptive pooling: the global average or maximum
        return left

    def decline_unread(self) -> None:
        """Raise Declined, with all options without a parameter, if the case needs one of them."""
        if len(self.options.get("normalized_shape", ())) > 1 and "normalized_shape" not in self.read:
            raise Declined("it normalizes one axis")
        left = self.unread()
        words = {"ignored" if name == "ignore_index" else name: value for name, value in left.items()}
        if "ignored" in words:
            words["ignored"] = False
        without = [name for name in names.STATISTICS if name in self.options and name not in self.read]
        if without and not self.options.get("training", True):
            raise Declined(f"it has no place for {without[0]}", {**words, "training": True})
        for name, default in left.items():
            value = one_number(self.options[name])
            if isinstance(value, np.ndarray):
                raise Declined(f"it has no parameter for {name}", words)
            same = value == default or (name == "padding" and value == "valid")
            if name == "dim":  # hand-written ops usually use the last axis
                same = value in (-1, len(self.sizes.get("input_shape", ())))
            if name == "stride" and default is None:
                same = value is None or value == one_number(self.options["kernel_size"])
            if not same or name == "ignore_index":
                raise Declined(f"it has no parameter for {name}", words)

    def as_dict(self) -> dict[str, Any]:
        """A dict of the options under all their names, which records the options that are read."""
        self.dicts.append(_Recording(self))
        return self.dicts[-1]

    @property
    def gives_dict(self) -> bool:
        """Whether options were passed in a dict."""
        return bool(self.dicts)

    def keep_statistics(self) -> None:
        """Report the running statistics in the dicts after the call: stored by the layer, or only read."""
        for given in self.dicts:
            for key, value in given.items():
                if names.OPTIONS.get(plain(key)) in names.STATISTICS:
                    keep(names.OPTIONS[plain(key)], value)
            stored = {names.OPTIONS.get(plain(key)) for key in given}
            for name in self.read & {*names.STATISTICS} - stored:
                keep(name, self.options[name])

    def _value(self, name: str, default: Any) -> Any:
        short = plain(name)
        if "training" in self.options and names.OPTIONS.get(short) == "training":
            return self._mode(short, default)
        if "training" in self.options and short in names.INVERTED:
            return not self._option("training")
        if name in self.options:
            return self._option(name, default)
        option = "num_groups" if name == "G" else names.OPTIONS.get(short, "")
        if short == "padwidth" and "pad" in self.options:
            option = "pad"
        if option not in self.options and names.INSTEAD.get(option) in self.options and default is not None:
            option = names.INSTEAD[option]
        if short in names.SHARED:
            option = next((shared for shared in names.SHARED[short] if shared in self.options), option)
            if (
                option in self.read
                and self.named.get(option, short) != short
                and default is not inspect.Parameter.empty
            ):
                return _MISSING  # neon's bprop(error, alpha=1): the slope has another name
            self.named.setdefault(option, short)
        if option in self.options:
            self.named.setdefault(option, short)
            return self._option(option, default, as_pair=short.endswith("shape"))
        if option == "kernel_size" and "kernel_size" in self.sizes:
            kernel = self.sizes["kernel_size"]
            return kernel if short.endswith("shape") else self.shaped(kernel)
        for table, place in ((names.HEIGHTS, 0), (names.WIDTHS, 1)):
            side = table.get(short, "")
            value = self._option(side, 0) if side in self.options else self.sizes.get(side)
            if value is not None:
                return value[place] if isinstance(value, tuple) else value
        size = names.size_of(name)
        if size == "in_channels" and self.takes_shape:
            size = "out_channels"  # depth beside input_shape
        if size == "width" and size not in self.sizes and "kernel_size" in self.sizes:
            return self.shaped(self.sizes["kernel_size"])  # of a convolution of sequences
        if size is not None and size in self.sizes:
            return self.sizes[size]
        if short in names.RATES:
            return self.rate
        if default is inspect.Parameter.empty:
            if names.is_dict(name):
                return self.as_dict()
            if option == "scale_factor" and "size" in self.options:
                raise Declined("it takes a factor", {"size": None})
            if short in ("size", "newsize", "outsize", "outputsize") and "scale_factor" in self.options:
                raise Declined("it takes a size", {"scale_factor": None})
            if name == "value" and "pad" in self.options:
                return None  # another mode than constant has none
            if short in names.FLAGS:
                return short not in ("test", "istest", "debug", "verbose")
            if short.endswith(("fn", "func", "init", "initializer")):
                return None  # an initializer: parameters are set afterwards
        return _MISSING

    def _option(self, name: str, default: Any = None, as_pair: bool = False) -> Any:
        self.read.add(name)
        as_pair = as_pair or (type(default) is tuple and len(default) == 2)
        value = two_numbers(one_number(self.options[name])) if as_pair else self.shaped(self.options[name])
        if name == "pad":
            return _widths(self.options[name], default)
        if name == "scale_factor":
            return two_numbers(_whole(value)) if as_pair else _whole(value)
        if type(default) is int:
            value = one_number(value)
        if name == "stride" and value is None and default is not None:
            kernel = self.options["kernel_size"]
            return two_numbers(kernel) if as_pair else self.shaped(kernel)
        if name == "padding":
            return self._padding(value, default)
        return value

    def _mode(self, short: str, default: Any) -> bool | str:
        """Whether the case is in training: a bool, or a word if the implementation uses words."""
        training = bool(self._option("training"))
        if isinstance(default, str) or (default is inspect.Parameter.empty and short in names.MODES):
            return "train" if training else "test"
        return training

    def _padding(self, value: Any, default: Any) -> Any:
        """The padding as a number instead of "same" or "valid", unless the implementation uses these words."""
        if isinstance(default, str):
            if not isinstance(value, str) and one_number(value) != 0:
                raise Declined(f"its padding is a word (default {default!r})", {"padding": "valid"})
            return value if isinstance(value, str) else "valid"
        if isinstance(value, str):
            raise Declined("its padding is a number", {"same": False})
        return value


class _Recording(dict[str, Any]):
    """A dict of options that also accepts their aliases; entries stored by the layer take precedence."""

    def __init__(self, arguments: Arguments) -> None:
        super().__init__()
        self.arguments = arguments

    def __getitem__(self, key: str) -> Any:
        if super().__contains__(key):
            return super().__getitem__(key)
        value = self.arguments._value(key, inspect.Parameter.empty)
        if value is _MISSING:
            raise KeyError(key)
        return value

    def __getattr__(self, name: str) -> Any:
        """Return an entry as an attribute, for layers whose config is an object such as a dataclass."""
        if name.startswith("_") or name not in self:
            raise AttributeError(f"no option is called {name}")
        return self[name]

    def get(self, key: str, default: Any = None) -> Any:
        if super().__contains__(key):
            return super().__getitem__(key)
        value = self.arguments._value(key, default)
        return default if value is _MISSING else value

    def setdefault(self, key: str, default: Any = None) -> Any:
        if key not in self:
            self[key] = default
        return self[key]

    def __contains__(self, key: object) -> bool:
        known = super().__contains__(key)
        return known or (isinstance(key, str) and self.arguments._value(key, None) is not _MISSING)


def _helper(function: Any, name: str) -> Callable[[], Any] | None:
    """The class of the function's module that a required parameter is named after: ParameterStore for `store`."""
    function = getattr(function, "__init__", function) if inspect.isclass(function) else function
    parameter = next((p for p in parameters_of(function) or () if p.name == name), None)
    if parameter is None or parameter.default is not parameter.empty or len(name) < len("store"):
        return None
    scope = getattr(inspect.unwrap(function), "__globals__", {})
    for own, value in scope.items():
        if not inspect.isclass(value) or value.__module__ != scope.get("__name__"):
            continue
        kind: Any = value
        required = [p for p in parameters_of(kind) or () if p.default is p.empty]
        if plain(own).endswith(plain(name)) and all(p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD) for p in required):
            return kind  # type: ignore[no-any-return]  # a class of the user's module
    return None


def _widths(pad: tuple[int, ...], default: Any) -> Any:
    """The widths of a padding: a number if they are equal, otherwise as the default is, or as torch's are."""
    sides = tuple(zip(pad[-2::-2], pad[::-2], strict=True))  # (before, after), beginning with the first axis
    if type(default) is tuple and len(sides) == len(default):
        symmetric = all(before == after for before, after in sides) and not isinstance(default[0], tuple)
        return tuple(before for before, _ in sides) if symmetric else sides
    return one_number(pad)


def _whole(factor: Any) -> Any:
    """A factor as an integer if it is one."""
    if isinstance(factor, tuple):
        return tuple(map(_whole, factor))
    return int(factor) if factor == int(factor) else factor


def _question(function: Callable[..., Any], name: str) -> str:
    called = getattr(function, "__qualname__", repr(function)).replace(".__init__", "")
    if "." in called.replace("<locals>.", "") and not inspect.isclass(function):  # a method
        return f"{called} takes {name!r}, and parity cannot find out what to pass; give it a default value"
    called = called.rpartition(".")[2]
    return (
        f"{called} takes {name!r}, and parity cannot find out what to pass; bind it, for example: "
        f"functools.partial({called}, {name}=…)"
    )
