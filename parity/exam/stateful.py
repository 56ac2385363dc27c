"""Changes of the state that a layer keeps: the mistakes show in a second call, or in the caller's arrays."""

from typing import Any

import numpy as np

from numpy_cnn.arguments import Array
from parity.cases.op import Op
from parity.exam.call import Call, Change, Edit, Places, place_of
from parity.exam.changes import reaching


def overwriting(of: str, edit: Edit) -> Change:
    """Edit the caller's x, w or b in place, if it is writeable."""

    def change(op: Op, _: Places) -> Op:
        def called(*arrays: Any, **options: Any) -> Any:
            own = arrays[place_of(f"d{of}", len(arrays))]
            made = op(*(a if a is None else a.copy() for a in arrays), **options)
            if own is not None and own.flags.writeable and own.size:
                own[...] = edit(own, Call(op, arrays, options))
            return made

        return called

    return change


def overwriting_upstream(edit: Edit) -> Change:
    """Edit the caller's dy in place, if it is writeable."""

    def change(op: Op, _: Places) -> Op:
        def called(*arrays: Any, **options: Any) -> Any:
            y, pullback = op(*arrays, **options)

            def pulled(dy: Array) -> tuple[Any, ...]:
                gradients: tuple[Any, ...] = pullback(dy.copy())
                if dy.flags.writeable:
                    dy[...] = edit(dy, Call(op, arrays, options))
                return gradients

            return y, pulled

        return called

    return change


def of_last_call() -> Change:
    """Keep the backward's cache at module level: a pullback then differentiates the last call."""
    kept: dict[Any, Any] = {}

    def change(op: Op, reach: Places) -> Op:
        def called(*arrays: Any, **options: Any) -> Any:
            y, pullback = op(*arrays, **options)
            given = [*arrays, *options, *options.values()]
            key = str([(a.shape, a.dtype) if isinstance(a, np.ndarray) else a for a in given])
            kept.clear()
            kept[key] = pullback
            return y, lambda dy: kept.get(key, pullback)(dy)

        return reaching(called, op, reach)

    return change


def in_a_buffer(op: Op, _: Places) -> Op:
    """Return the output in a buffer that the next call of the same shape overwrites."""
    buffers: dict[Any, Array] = {}

    def called(*arrays: Any, **options: Any) -> Any:
        y, pullback = op(*arrays, **options)
        if (y.shape, y.dtype) not in buffers:
            buffers.clear()
        buffer = buffers.setdefault((y.shape, y.dtype), np.empty_like(y))
        buffer[...] = y
        return buffer, pullback

    return called


def by_call(edit: Any) -> Change:
    """Edit a gradient, given those that earlier calls of the pullback returned: edit(gradient, earlier)."""

    def change(op: Op, reach: Places) -> Op:
        def called(*arrays: Any, **options: Any) -> Any:
            y, pullback = op(*arrays, **options)
            calls: list[list[Any]] = []

            def pulled(dy: Array) -> tuple[Any, ...]:
                gradients, earlier = [*pullback(dy)], [*calls]
                calls.append([*gradients])
                for place in {place_of(of, len(gradients)) for of in reach}:
                    if gradients[place] is not None:
                        gradients[place] = np.asarray(
                            edit(gradients[place], [before[place] for before in earlier])
                        )
                return tuple(gradients)

            return y, pulled

        return called

    return change


def accumulated(g: Array, earlier: list[Array]) -> Array:
    """Add the earlier gradients: they are never reset."""
    return np.asarray(sum(earlier, g))


def scaled(g: Array, earlier: list[Array]) -> Array:
    """Double the gradient once for each earlier call: the cache is doubled in place."""
    return np.asarray(g * g.dtype.type(2 ** len(earlier)))


def emptied(g: Array, earlier: list[Array]) -> Array:
    """Return zeros after the first call: it overwrites the cache."""
    return np.zeros_like(g) if earlier else g


def in_one_buffer(g: Array, earlier: list[Array]) -> Array:
    """Write the gradient to the array that the first call returned."""
    if not earlier:
        return g
    earlier[0][...] = g
    return earlier[0]


def handed_out(g: Array, earlier: list[Array]) -> Array:
    """Return the array of the first call again."""
    return earlier[0] if earlier else g


def returning_equals(op: Op, reach: Places) -> Op:
    """Return the caller's own array for a result that equals it."""

    def called(*arrays: Any, **options: Any) -> Any:
        y, pullback = op(*arrays, **options)

        def shared(value: Any, others: tuple[Any, ...]) -> Any:
            same = (o for o in others if isinstance(o, np.ndarray) and isinstance(value, np.ndarray))
            return next((o for o in same if o.dtype == value.dtype and np.array_equal(o, value)), value)

        def pulled(dy: Array) -> tuple[Any, ...]:
            others = (*arrays, dy)
            places = {place_of(of, len(arrays)) for of in reach if of != "y"}
            return tuple(shared(g, others) if i in places else g for i, g in enumerate(pullback(dy)))

        return shared(y, arrays) if "y" in reach else y, pulled if callable(pullback) else pullback

    return called
