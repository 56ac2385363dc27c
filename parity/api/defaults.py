"""How many cases, and which seed, where the caller does not say.

In this order: what the call says; `pytest --parity-examples` and `--parity-seed`; Hypothesis' own settings, if
somebody has touched them (a profile's max_examples, `--hypothesis-seed`); 200 cases a lane, and seed 0.
"""

EXAMPLES, SEED = 200, 0
HYPOTHESIS_EXAMPLES = 100  # what Hypothesis does where nobody says anything


class Chosen:
    """What the pytest plugin was told."""

    examples: int | None = None
    seed: int | None = None


def examples_for(said: int | None) -> int:
    """Cases a lane.

    Raises:
        ValueError: fewer than one is asked for.
    """
    if said is None:
        said = Chosen.examples
    if said is None:
        import hypothesis

        touched = hypothesis.settings.default
        most = HYPOTHESIS_EXAMPLES if touched is None else touched.max_examples
        said = EXAMPLES if most == HYPOTHESIS_EXAMPLES else most
    if said < 1:
        raise ValueError(f"examples must be at least 1, got {said}")
    return said


def seed_for(said: int | None) -> int:
    """The seed that cases are drawn with."""
    if said is None:
        said = Chosen.seed
    if said is None:
        import hypothesis.core

        forced = getattr(hypothesis.core, "global_force_seed", None)
        said = forced if isinstance(forced, int) else SEED
    return said
