"""A few cases of a strategy, without a search."""

from typing import TypeVar

import hypothesis
from hypothesis import HealthCheck, Phase, Verbosity
from hypothesis import strategies as st
from hypothesis.errors import Unsatisfiable

from parity.cases.nesting import nesting_allowed
from parity.cases.same_draws import same_draws

T = TypeVar("T")


def sample(strategy: st.SearchStrategy[T], count: int, seed: int = 0) -> list[T]:
    """Return `count` examples, the same in every call; fewer if the strategy has fewer."""
    drawn: list[T] = []

    def keep(case: T) -> None:
        drawn.append(case)

    with nesting_allowed():
        draw = hypothesis.given(strategy)(keep)
    draw = hypothesis.settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=(Phase.generate,),
        derandomize=False,
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
    )(draw)
    draw = hypothesis.seed(seed)(draw)
    try:
        with same_draws():
            draw()
    except Unsatisfiable:
        return []
    return drawn
