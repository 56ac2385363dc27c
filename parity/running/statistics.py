"""Running statistics as in courses or in Keras, with a biased variance."""

from typing import Any

import numpy as np

from parity.cases.case import Case, Lane
from parity.cases.op import Array
from parity.cases.state import collected
from parity.lanes.reference import expect
from parity.rows.row import Row
from parity.subjects import Declined, Implementation, ImplementationError
from parity.subjects.statistics import are_called_moving, default_momentum, with_biased_variance

OF_COURSES = (
    "its running statistics follow the convention of courses: momentum is the weight of the old ones, and the "
    "variance is divided by n, not n − 1; converted to torch's and compared"
)
OF_KERAS = "its moving variance is divided by n, not n − 1, as in Keras; converted to torch's and compared"
CLOSE = 1e-4  # far above rounding in float32, far below the effect of another momentum


def of_a_course(
    row: Row, made: Implementation, lane: Lane, case: Case, known: dict[str, Any]
) -> tuple[Implementation, dict[str, Any]]:
    """Convert the running statistics to torch's if they follow both conventions of courses.

    Only one of the two is reported as a difference. A mean that weights the old one by a momentum whose default is
    above one half is enough if the variance follows neither rule: then the variance has a mistake.

    Args:
        row: of a batch norm.
        made: the implementation, not in torch's form.
        lane: of the case.
        case: in training.
        known: its capabilities; a fixed momentum becomes torch's.
    """
    expected = expect(row, case, lane)
    given, options = expected.inputs.private().arrays, expected.inputs.options
    x, old_mean, old_var = (np.array(array, np.float64) for array in given[:3])
    try:
        with collected() as kept:
            made(*given, **options)
    except (Declined, ImplementationError):
        return made, known
    axes = (0, *range(2, x.ndim))

    def off(name: str, old: float, before: Array, of_batch: Array) -> float:
        """How far a statistic is from the weighted mean of both, relative to the latter."""
        value, got = old * before + (1 - old) * of_batch, kept.get(name)
        if got is None or np.size(got) != value.size:
            return np.inf
        return float((np.abs(np.ravel(got) - value) / np.maximum(np.abs(value), 1e-3)).max(initial=0.0))

    def follows(old: float) -> tuple[bool, bool, bool]:
        """Whether the mean, and the biased or the unbiased variance, give the old statistics this weight."""
        # This only distinguishes rules, far above float32 rounding; the lanes compare the numbers. Both variances
        # are close in a large batch, so the nearer one counts.
        mean = off("running_mean", old, old_mean, x.mean(axes)) < CLOSE
        biased, unbiased = (off("running_var", old, old_var, x.var(axes, ddof=ddof)) for ddof in (0, 1))
        return mean, biased < min(unbiased, CLOSE), unbiased < CLOSE

    momentum = options["momentum"]
    mean, biased, _ = follows(1 - momentum)
    if mean and biased and are_called_moving(made.written):
        return with_biased_variance(made, weights_old=False).with_note(OF_KERAS), known
    if known.get("momentum", 1.0) <= 0.5:
        return made, known  # fixed as the weight of the new values, like torch's
    mean, biased, unbiased = follows(momentum)
    weights_old = (default_momentum(made.written) or 0.0) > 0.5
    if not biased and not (mean and weights_old and not unbiased):
        return made, known
    if "momentum" in known:
        known = {**known, "momentum": 1 - known["momentum"]}
    return with_biased_variance(made, weights_old=True).with_note(OF_COURSES), known
