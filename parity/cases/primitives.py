"""Strategies for Hypothesis and for Python's own random generator, which is many times faster.

A strategy here is a plain function of `draw`. Hypothesis calls it with its own draw and can shrink the result;
`draw_plainly` calls the same function with random numbers and records the choices, so that Hypothesis can shrink a
failure found that way. Strategies are created once, because creating them is the most expensive part of drawing.
"""

import random
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, TypeVar

from hypothesis import strategies as st


class Nothing(Exception):  # noqa: N818  # not an error
    """Almost none of the drawn values were accepted."""


T = TypeVar("T")
Choice = int | bool
# Draws a value and appends the choices that Hypothesis would make.
Plain = Callable[[random.Random, list[Choice]], Any]

MOST_TRIES = 200

_PLAIN: dict[st.SearchStrategy[Any], Plain] = {}
_COMPLETED: dict[st.SearchStrategy[Any], tuple[st.SearchStrategy[Any], Callable[[Any], Any]]] = {}


@cache
def integers(least: int, most: int) -> st.SearchStrategy[int]:
    """An integer in [least, most], which shrinks towards 0 or the end next to it."""

    def plain(generator: random.Random, choices: list[Choice]) -> int:
        # Small numbers are more frequent: small cases are fast and find the same mistakes.
        share = generator.random()
        choices.append(least + int(share * share * (most - least + 1)))
        return choices[-1]

    return _known(st.integers(least, most), plain)


def sampled(options: Sequence[T]) -> st.SearchStrategy[T]:
    """One of the options, which shrinks towards the first."""
    return _sampled(tuple(options), tuple(map(type, options)))


@cache
def _sampled(options: tuple[Any, ...], kinds: tuple[type, ...]) -> st.SearchStrategy[Any]:  # noqa: ARG001  # 1 and 1.0 are different keys
    def plain(generator: random.Random, choices: list[Choice]) -> Any:
        choices.append(int(generator.random() * len(options)))
        return options[choices[-1]]

    return _known(st.sampled_from(options), plain)


def _boolean(generator: random.Random, choices: list[Choice]) -> bool:
    choices.append(generator.random() < 0.5)
    return bool(choices[-1])


def composite(draws: Callable[..., T]) -> Callable[..., st.SearchStrategy[T]]:
    """Like Hypothesis' `composite`: turn a function of `draw` and arguments into a function of the arguments."""
    made = st.composite(draws)

    @cache
    def strategy(*arguments: Any, **options: Any) -> st.SearchStrategy[T]:
        def plain(generator: random.Random, choices: list[Choice]) -> T:
            return draws(lambda inner: _plain(inner)(generator, choices), *arguments, **options)

        return _known(made(*arguments, **options), plain)

    return strategy


def narrowed(
    strategy: st.SearchStrategy[T], keeps: Callable[[T], bool], change: Callable[[T], T] | None = None
) -> st.SearchStrategy[T]:
    """Map the values of a strategy and keep those accepted by `keeps`; supports plain drawing."""
    if strategy in _COMPLETED:
        base, complete = _COMPLETED[strategy]
        return completed(narrowed(base, keeps, change), complete)
    made = strategy if change is None else strategy.map(change)
    made = made.filter(keeps)
    if strategy not in _PLAIN:
        return made

    def plain(generator: random.Random, choices: list[Choice]) -> T:
        before = len(choices)
        for _ in range(MOST_TRIES):
            del choices[before:]
            value = _PLAIN[strategy](generator, choices)
            value = value if change is None else change(value)
            if keeps(value):
                return value
        raise Nothing

    return _known(made, plain)


def completed(strategy: st.SearchStrategy[T], complete: Callable[[T], T]) -> st.SearchStrategy[T]:
    """Map the values of a strategy last, after the changes of any later `narrowed`."""
    made = strategy.map(complete)
    _COMPLETED[made] = strategy, complete
    if strategy not in _PLAIN:
        return made
    return _known(made, lambda generator, choices: complete(_PLAIN[strategy](generator, choices)))


def draws_plainly(strategy: st.SearchStrategy[Any]) -> bool:
    """Whether `draw_plainly` supports the strategy."""
    return strategy in _PLAIN


def draw_plainly(strategy: st.SearchStrategy[T], generator: random.Random) -> tuple[T, list[Choice]]:
    """Draw a value without Hypothesis; return it with the choices that make Hypothesis draw the same.

    Raises:
        Nothing: the strategy was restricted, and hardly any value fits.
        TypeError: the strategy, or one within it, was not made by this module.
    """
    choices: list[Choice] = []
    return _plain(strategy)(generator, choices), choices


def _plain(strategy: st.SearchStrategy[Any]) -> Plain:
    try:
        return _PLAIN[strategy]
    except KeyError:
        raise TypeError(
            f"{strategy!r} only Hypothesis can draw it; build it from parity.cases.primitives"
        ) from None


def _known(strategy: st.SearchStrategy[Any], plain: Plain) -> st.SearchStrategy[Any]:
    _PLAIN[strategy] = plain
    return strategy


booleans = _known(st.booleans(), _boolean)
