"""An optimizer as a class: parameters in a dict, changed in place by `step`."""

from typing import Any

from parity.cases.torch_op import Array
from parity.subjects.arguments import parameters_of
from parity.subjects.attribute_errors import place_of
from parity.subjects.errors import Declined
from parity.subjects.implementation import Implementation

# Where torch's optimizer does without; one that lacks the setting is checked at this alone.
WITHOUT = {"momentum": 0.0, "dampening": 0.0, "weight_decay": 0.0, "nesterov": False, "amsgrad": False}


def of_optimizer(kind: type) -> Implementation:
    """`optimizer = C({name: array}, **settings)`, `optimizer.step({name: gradient})`, as numpy_cnn.optim's.

    The settings have torch's names. A gradient may be None: a step that leaves the parameter alone.
    """
    from parity.rows.optimizers import by_hand

    parameters = parameters_of(kind) or ()
    takes_all = any(p.kind is p.VAR_KEYWORD for p in parameters)
    known = frozenset(p.name for p in parameters)
    run = by_hand(kind)

    def op(*arrays: Array | None, **settings: Any) -> Any:
        lacking = {} if takes_all else {name: v for name, v in settings.items() if name not in known}
        for name in lacking:
            if name in WITHOUT:
                made.narrows.setdefault(name, WITHOUT[name])
        for name, value in lacking.items():
            if name not in made.fixed and value != WITHOUT.get(name, made):
                raise Declined(f"it has no parameter for {name}")
        return run(*arrays, **{name: value for name, value in settings.items() if name not in lacking})

    made = Implementation(op, forward_place=place_of(kind.step))  # type: ignore[attr-defined]
    return made
