"""The attributes of an object, of a class with slots, or of a tuple, as a mapping whose entries can be set."""

from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any


class Fields(MutableMapping[Any, Any]):
    """The entries of a tuple in an attribute, by name or by place; setting one replaces the tuple."""

    def __init__(self, space: MutableMapping[Any, Any], key: Any) -> None:
        self.space, self.key = space, key
        self.names = getattr(space[key], "_fields", range(len(space[key])))

    def __getitem__(self, name: Any) -> Any:
        return self.space[self.key][self.names.index(name)]

    def __setitem__(self, name: Any, value: Any) -> None:
        parts = list(self.space[self.key])
        parts[self.names.index(name)] = value
        kind = type(self.space[self.key])
        self.space[self.key] = kind(*parts) if hasattr(kind, "_fields") else tuple(parts)

    def __delitem__(self, name: Any) -> None:
        raise TypeError("a tuple keeps its entries")

    def __iter__(self) -> Iterator[Any]:
        return iter(self.names)

    def __len__(self) -> int:
        return len(self.names)


class Slots(MutableMapping[str, Any]):
    """The attributes of an object whose class has `__slots__`."""

    def __init__(self, owner: Any) -> None:
        self.owner = owner

    def __getitem__(self, name: str) -> Any:
        if name not in iter(self):
            raise KeyError(name)
        return getattr(self.owner, name)

    def __setitem__(self, name: str, value: Any) -> None:
        setattr(self.owner, name, value)

    def __delitem__(self, name: str) -> None:
        delattr(self.owner, name)

    def __iter__(self) -> Iterator[str]:
        slots = (vars(kind).get("__slots__", ()) for kind in type(self.owner).__mro__)
        for own in slots:
            yield from (n for n in ([own] if isinstance(own, str) else own) if hasattr(self.owner, n))

    def __len__(self) -> int:
        return sum(1 for _ in self)


def space_of(owner: Any) -> MutableMapping[str, Any]:
    """The attributes of an object by name; setting an entry sets the attribute."""
    return vars(owner) if hasattr(owner, "__dict__") else Slots(owner)


def has_attributes(value: Any) -> bool:
    """Whether a value has attributes of its own: a `__dict__`, or slots declared by its class in Python."""
    return hasattr(value, "__dict__") or (
        isinstance(type(value).__dict__.get("__slots__"), (tuple, list))
        and not isinstance(value, (tuple, Mapping))
    )
