"""From torch's options to the keywords that an author chose."""

import inspect
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import numpy as np

from parity.subjects import names
from parity.subjects.errors import Declined, Unrecognised
from parity.subjects.names import one_number, plain

_MISSING = object()


@lru_cache(maxsize=256)
def parameters_of(function: Callable[..., Any]) -> tuple[inspect.Parameter, ...] | None:
    """The parameters; None where a function written in C does not tell."""
    try:
        return tuple(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return None


class Arguments:
    """The options of one case, as they are asked for by other names.

    Args:
        options: torch's.
        sizes: what may be asked for besides, such as in_channels.
        fixed: options that the user has narrowed to one value, so that nobody needs to be told of them.
    """

    def __init__(
        self,
        options: Mapping[str, Any],
        sizes: Mapping[str, Any] | None = None,
        fixed: frozenset[str] = frozenset(),
    ) -> None:
        self.options, self.sizes, self.fixed = options, sizes or {}, fixed
        self.read: set[str] = set()
        self.handed_a_dict = False  # what is read of it is known after the call

    def bind(
        self, function: Callable[..., Any], skip: int, given: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        """Keywords for all parameters after the first `skip`; `given` holds more values, by plain name.

        Raises:
            Unrecognised: a parameter without a default has a name that says nothing.
        """
        keywords: dict[str, Any] = {}
        parameters = parameters_of(function)
        if parameters is None:  # C: trust that it takes what torch takes
            self.read.update(self.options)
            return dict(self.options)
        for parameter in parameters[skip:]:
            name = parameter.name
            if parameter.kind is parameter.VAR_KEYWORD:
                keywords |= {key: self._option(key) for key in self.options if key not in self.read}
            elif parameter.kind is not parameter.VAR_POSITIONAL:
                value = given.get(plain(name), _MISSING) if given else _MISSING
                value = self._value(name, parameter.default) if value is _MISSING else value
                if value is not _MISSING:
                    keywords[name] = value
                elif parameter.default is parameter.empty:
                    raise Unrecognised(_question(function, name))
        return keywords

    def unread(self) -> dict[str, Any]:
        """Options that nobody asked for, with the values at which that does not matter.

        Raises:
            Unrecognised: an option without such a value, as the size of a window.
        """
        left = {}
        for name in self.options.keys() - self.read - self.fixed - {*names.STATISTICS}:
            if name not in names.DEFAULTS:
                raise Unrecognised(
                    f"it has no parameter for {name}; if {name} is fixed, say so: "
                    f'parity.check(…, supports={{"{name}": {self.options[name]!r}}})'
                )
            left[name] = None if name == "stride" and "kernel_size" in self.options else names.DEFAULTS[name]
        return left

    def decline_unread(self) -> dict[str, Any]:
        """The same, raising Declined where an option has another value."""
        left = self.unread()
        without = [name for name in names.STATISTICS if name in self.options and name not in self.read]
        if without and not self.options["training"]:
            raise Declined(f"it has no place for {without[0]}", {"training": True})
        for name, default in left.items():
            value = one_number(self.options[name])
            same = value == default or (name == "padding" and value == "valid")
            if name == "dim":
                same = True  # the runner narrows it to the last axis, which is where hand-written ones work
            if name == "stride" and default is None:
                same = value is None or value == one_number(self.options["kernel_size"])
            if isinstance(value, np.ndarray) or not same:
                raise Declined(f"it has no parameter for {name}", left)
        return left

    def as_dict(self) -> dict[str, Any]:
        """The options under all their names, for authors who hand a dict around; it notes what is read."""
        self.handed_a_dict = True
        return _Noting(self)

    def _value(self, name: str, default: Any) -> Any:
        short = plain(name)
        if "training" in self.options and names.OPTIONS.get(short) == "training":
            return self._mode(short, default)
        if name in self.options:
            return self._option(name, default)
        option = names.OPTIONS.get(short, "")
        if option in self.options:
            return self._option(option, default)
        if option == "kernel_size" and "kernel_size" in self.sizes:
            return self.sizes["kernel_size"]
        for table, place in ((names.HEIGHTS, 0), (names.WIDTHS, 1)):
            side = table.get(short, "")
            value = self._option(side, 0) if side in self.options else self.sizes.get(side)
            if value is not None:
                return value[place] if isinstance(value, tuple) else value
        if short in names.SIZES and names.SIZES[short] in self.sizes:
            return self.sizes[names.SIZES[short]]
        if short in names.RATES:
            return 0.0  # an update inside backward then changes nothing
        if default is inspect.Parameter.empty:
            if names.is_dict(name):
                return self.as_dict()
            if short in names.FLAGS:
                return short not in ("test", "istest", "debug", "verbose")
        return _MISSING

    def _option(self, name: str, default: Any = None) -> Any:
        self.read.add(name)
        value = one_number(self.options[name])
        if name == "stride" and value is None and default is not None:
            return one_number(self.options["kernel_size"])
        if name == "padding":
            return self._padding(value, default)
        return value

    def _mode(self, short: str, default: Any) -> bool | str:
        """Whether it is training; in a word where the author speaks in words."""
        training = bool(self._option("training"))
        if isinstance(default, str) or (default is inspect.Parameter.empty and short in names.MODES):
            return "train" if training else "test"
        return training

    def _padding(self, value: Any, default: Any) -> Any:
        """A number instead of "same" and "valid", unless the author speaks in words too."""
        if isinstance(default, str):
            if not isinstance(value, str) and value != 0:
                raise Declined(f"its padding is said in words (default {default!r})", {"padding": "valid"})
            return value if isinstance(value, str) else "valid"
        if value == "valid":
            return 0
        if value == "same":
            kernel = self.sizes.get("kernel_size", self.options.get("kernel_size", 1))
            pair = kernel if isinstance(kernel, tuple) else (kernel, kernel)
            dilation = self.options.get("dilation", 1)
            steps = dilation if isinstance(dilation, tuple) else (dilation, dilation)
            spans = [d * (k - 1) for d, k in zip(steps, pair, strict=True)]
            if any(span % 2 for span in spans):
                raise Declined("no symmetric padding keeps the size under an even kernel")
            return one_number(tuple(span // 2 for span in spans))
        return value


class _Noting(dict[str, Any]):
    """A dict of options that answers to their aliases as well."""

    def __init__(self, arguments: Arguments) -> None:
        super().__init__()
        self.arguments = arguments

    def __getitem__(self, key: str) -> Any:
        value = self.arguments._value(key, inspect.Parameter.empty)
        if value is _MISSING:
            raise KeyError(key)
        return value

    def get(self, key: str, default: Any = None) -> Any:
        value = self.arguments._value(key, default)
        return default if value is _MISSING else value

    def __contains__(self, key: object) -> bool:
        return isinstance(key, str) and self.arguments._value(key, None) is not _MISSING


def _question(function: Callable[..., Any], name: str) -> str:
    called = getattr(function, "__qualname__", repr(function)).replace(".__init__", "")
    return (
        f"{called} takes {name!r}, and parity cannot tell what to give it; say so in a line, for example: "
        f"lambda *arrays, **options: {called}(*arrays, {name}=…, **options)"
    )
