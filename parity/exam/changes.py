"""Changes that turn a right op into a wrong one: edits of an array, an option, the upstream gradient or a result.

A change takes an op and the results that the mistake reaches: y, dx, dw, db, dt; empty: all of them. The other
results are the right op's. An edit is a function of the value that it edits and of the call.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from numpy_cnn.arguments import Array
from parity.cases.op import Op
from parity.exam.call import EVERYWHERE, Call, Change, Edit, Places, place_of


def reaching(wrong: Op, right: Op, reach: Places) -> Op:
    """Return an op with the wrong op's results where the mistake reaches, and the right op's elsewhere."""

    def called(*arrays: Any, **options: Any) -> Any:
        (bad, bad_pullback), (good, good_pullback) = wrong(*arrays, **options), right(*arrays, **options)

        def pulled(dy: Array) -> tuple[Any, ...]:
            gradients = [*good_pullback(dy)]
            places = {place_of(result, len(gradients)) for result in reach if result != "y"}
            found = bad_pullback(dy) if places else ()
            return tuple(found[i] if i in places else gradient for i, gradient in enumerate(gradients))

        return (bad if "y" in reach else good), pulled if callable(good_pullback) else good_pullback

    return called if reach else wrong


def instead(wrong: Op) -> Change:
    """Replace the op."""
    return lambda right, reach: reaching(wrong, right, reach)


def result(edit: Edit) -> Change:
    """Edit each result that the mistake reaches."""

    def change(op: Op, reach: Places) -> Op:
        def called(*arrays: Any, **options: Any) -> Any:
            call, (y, pullback) = Call(op, arrays, options), op(*arrays, **options)

            def edited(value: Any) -> Any:
                new = None if value is None else edit(value, call)
                return None if new is None else np.asarray(new)

            def pulled(dy: Array) -> tuple[Any, ...]:
                gradients = pullback(dy)
                places = {place_of(of, len(gradients)) for of in reach or EVERYWHERE if of != "y"}
                return tuple(edited(g) if place in places else g for place, g in enumerate(gradients))

            return edited(y) if "y" in (reach or EVERYWHERE) else y, pulled if callable(pullback) else pullback

        return called

    return change


def output(formula: Callable[[Call], Any]) -> Change:
    """Replace the output; the dtype is kept."""
    edited = result(lambda y, call: np.asarray(formula(call), y.dtype))
    return lambda op, _: edited(op, ("y",))


def gradient(formula: Callable[[Any, Call], Any]) -> Change:
    """Replace a gradient (default: dx) by a function of the upstream gradient and the call; the dtype is kept."""

    def change(op: Op, reach: Places) -> Op:
        def called(*arrays: Any, **options: Any) -> Any:
            call, (y, pullback) = Call(op, arrays, options), op(*arrays, **options)

            def pulled(dy: Array) -> tuple[Any, ...]:
                gradients = [*pullback(dy)]
                for place in {place_of(of, len(gradients)) for of in reach or ("dx",) if of != "y"}:
                    if gradients[place] is not None:
                        gradients[place] = np.asarray(formula(dy, call), gradients[place].dtype)
                return tuple(gradients)

            return y, pulled

        return called

    return change


def options(edit: Edit) -> Change:
    """Edit the options: edit({name: value}, call)."""

    def change(op: Op, reach: Places) -> Op:
        def called(*arrays: Any, **given: Any) -> Any:
            return op(*arrays, **edit(given, Call(op, arrays, given)))

        return reaching(called, op, reach)

    return change


def option(name: str, edit: Callable[[Any], Any]) -> Change:
    """Edit one option if it is passed."""
    return options(lambda given, _: given | ({name: edit(given[name])} if name in given else {}))


def _unchanged(value: Any, _: Call) -> Any:
    return value


def array(of: str, edit: Edit, back: Edit = _unchanged) -> Change:
    """Edit one array (x, w or b) if it is passed, and undo the edit in its gradient."""

    def change(op: Op, reach: Places) -> Op:
        def called(*arrays: Any, **options: Any) -> Any:
            place, call = place_of(f"d{of}", len(arrays)), Call(op, arrays, options)
            if place >= len(arrays) or arrays[place] is None:
                return op(*arrays, **options)
            y, pullback = op(*arrays[:place], edit(arrays[place], call), *arrays[place + 1 :], **options)
            return y, lambda dy: tuple(
                back(g, call) if i == place and g is not None else g for i, g in enumerate(pullback(dy))
            )

        return reaching(called, op, reach)

    return change


def upstream(edit: Edit) -> Change:
    """Edit the upstream gradient."""

    def change(op: Op, reach: Places) -> Op:
        def called(*arrays: Any, **options: Any) -> Any:
            y, pullback = op(*arrays, **options)
            return y, lambda dy: pullback(np.asarray(edit(dy, Call(op, arrays, options)), dy.dtype))

        return reaching(called, op, reach)

    return change


def both(*changes: Change) -> Change:
    """Apply several changes in turn."""

    def change(op: Op, reach: Places) -> Op:
        wrong = op
        for one in changes:
            wrong = one(wrong, ())
        return reaching(wrong, op, reach)

    return change


def only(condition: Callable[[Call], bool], change: Change) -> Change:
    """Apply a change only to calls that meet a condition."""

    def conditional(right: Op, reach: Places) -> Op:
        wrong = change(right, reach)

        def called(*arrays: Any, **options: Any) -> Any:
            return (wrong if condition(Call(right, arrays, options)) else right)(*arrays, **options)

        return called

    return conditional


def in_dtype(dtype: Any) -> Change:
    """Compute in another precision and cast the results back."""

    def cast(value: Any) -> Any:
        return value.astype(dtype) if isinstance(value, np.ndarray) and value.dtype.kind == "f" else value

    def change(op: Op, reach: Places) -> Op:
        def called(*arrays: Any, **options: Any) -> Any:
            own = arrays[0].dtype
            y, pullback = op(*map(cast, arrays), **{name: cast(value) for name, value in options.items()})
            return y.astype(own), lambda dy: tuple(
                None if g is None else g.astype(own) for g in pullback(dy.astype(dtype))
            )

        return reaching(called, op, reach)

    return change
