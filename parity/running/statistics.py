"""Running statistics as in courses: momentum is the weight of the old ones, the variance is biased."""

import numpy as np

from parity.cases.case import Case, Lane
from parity.cases.state import collected
from parity.lanes.reference import expect
from parity.rows.row import Row
from parity.subjects import Declined, Implementation, ImplementationError
from parity.subjects.statistics import without_statistics

NOTE = (
    "its running statistics follow the convention of courses: momentum is the weight of the old ones, and the "
    "variance is divided by n, not n − 1; checked once, not compared with torch's"
)


def of_a_course(row: Row, made: Implementation, lane: Lane, case: Case) -> Implementation:
    """Exclude the running statistics from the comparison if they follow both conventions of courses.

    Only one of the two is reported as a difference, because it is more likely a mistake.

    Args:
        row: of a batch norm.
        made: the implementation, not in torch's form.
        lane: of the case.
        case: in training.
    """
    expected = expect(row, case, lane)
    given, options = expected.inputs.private().arrays, expected.inputs.options
    x, old_mean, old_var = (np.array(array, np.float64) for array in given[:3])
    try:
        with collected() as kept:
            made(*given, **options)
    except (Declined, ImplementationError):
        return made
    axes, weight = (0, *range(2, x.ndim)), 1 - options["momentum"]
    course = {
        "running_mean": (1 - weight) * old_mean + weight * x.mean(axes),
        "running_var": (1 - weight) * old_var + weight * x.var(axes),
    }
    # This only distinguishes two rules, far above float32 rounding; the lanes compare the numbers.
    follows = kept.keys() >= course.keys() and all(
        np.size(kept[name]) == value.size and np.allclose(np.ravel(kept[name]), value, rtol=1e-5)
        for name, value in course.items()
    )
    return without_statistics(made).with_note(NOTE) if follows else made
