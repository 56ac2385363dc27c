"""Layouts in which hand-written layers differ from torch, most likely first."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from inspect import isroutine

from parity.cases.case import Case
from parity.cases.restrict_resizing import resizes
from parity.subjects import autograd, jax_functions, wrappers
from parity.subjects.backward import takes_cache
from parity.subjects.frameworks import of_tuples
from parity.subjects.implementation import Implementation
from parity.subjects.optimizer import _Optimizer
from parity.subjects.optimizer_arrays import NOTES
from parity.subjects.recognise import with_derivative
from parity.subjects.statistics import in_torchs_order

Layout = Callable[[Implementation], Implementation]


def variants(made: Implementation, case: Case) -> Iterator[Implementation]:
    """Yield the implementation as it is, then adapted from each other layout that applies to the case.

    NumPy arrays come first, then torch tensors, then those of a small engine in the implementation's file.
    """
    if autograd.uses_torch(made.written):
        yield made  # before the other layouts of tensors, which would use up the trials
    in_pairs = {"kernel_size", "stride"} & case.options.keys()
    pairs = replace(made, pairs=True).with_note("its options are pairs: (a, a) where torch takes a")
    for late in (False, True):
        yield from _of_one_form([c for c in _conversions(made) if _is_late(c) == late], case)
        for converted in (
            _of_one_form([c for c in _conversions(pairs) if _is_late(c) == late], case) if in_pairs else ()
        ):
            yield replace(converted, conversion=f"pairs {converted.conversion}")


def _is_late(made: Implementation) -> bool:
    """Whether it receives tensors, although its file does not import torch: tried after NumPy arrays."""
    return made.conversion == "torch" and not autograd.imports_torch(made.written)


def _of_one_form(conversions: list[Implementation], case: Case) -> Iterator[Implementation]:
    for converted in conversions:
        normalizes = "running_mean" in (spec.name for spec in case.arrays)
        like_torch = isroutine(converted.written) and in_torchs_order(converted.written)
        if converted.conversion == "torch" and normalizes and not like_torch:
            yield wrappers.parameters_like_input(converted)
        for layout in _layouts(case):
            yield layout(converted)


def _conversions(made: Implementation) -> Iterator[Implementation]:
    pair = with_derivative(made.written)
    if pair is not None:
        pair = replace(pair, fixed=made.fixed, timeout=made.timeout, pairs=made.pairs, conversion="pair")
    if pair is not None and autograd.uses_torch(made.written):  # before autograd, which calls no backward
        yield replace(autograd.over_tensors(pair, autograd.TORCH), conversion="tensor pair")
        yield pair
    elif pair is not None and takes_cache(pair.written[1]):  # before the form (loss, gradient)
        yield pair
    if autograd.uses_torch(made.written):
        yield replace(autograd.over_tensors(made, autograd.TORCH), lenient=True, conversion="torch")
    yield made
    if jax_functions.uses_jax(made.written):
        yield replace(jax_functions.of_jax(made), lenient=True, conversion="jax")
    if isinstance(made.op, _Optimizer) and made.op.given == "tensors":
        return
    if isinstance(made.op, _Optimizer):
        for given, note in NOTES.items():
            yield replace(made, op=replace(made.op, given=given), conversion=given).with_note(note)
        return
    if isinstance(made.op, autograd._Module):
        return
    tuples = of_tuples(made.written)
    if tuples is not None:
        yield replace(tuples, written=made.written, fixed=made.fixed, timeout=made.timeout, conversion="tuples")
    if pair is not None:
        yield pair
    engine = autograd.engine_of(made.written[0] if isinstance(made.written, (tuple, list)) else made.written)
    if engine is not None:
        yield replace(autograd.over_tensors(made, engine), lenient=True, conversion="engine")
    if not autograd.uses_torch(made.written):
        yield replace(autograd.over_tensors(made, autograd.TORCH), lenient=True, conversion="torch")


def _layouts(case: Case) -> Iterator[Layout]:
    shapes = {spec.name: spec.shape for spec in case.arrays}
    x, weight = case.arrays[0].shape or (), shapes.get("weight")
    yield _then()
    if weight is not None and len(weight) == 4:
        yield from _convolution()
    elif weight is not None and len(weight) == 3:
        yield from _sequences()
    elif weight is not None and len(weight) == 2 and not case.options:
        yield from _dense()
    elif "running_mean" in shapes:
        yield from _normalization((3, 4))
    elif "num_groups" in case.options or "normalized_shape" in case.options:
        yield from _normalization((1, 2))
    elif "target" in shapes and case.arrays[1].kind == "classes" and len(x) == 2:
        yield wrappers.one_hot_targets
        yield wrappers.column_vectors
    elif len(x) == 4 and "kernel_size" in case.options:
        yield wrappers.channels_last
        yield wrappers.single_sample
        yield _then(wrappers.single_sample, wrappers.channels_last)
        yield wrappers.single_plane
        yield from (wrappers.batch_second, wrappers.batch_last)
    elif len(x) == 4 and "output_size" in case.options:
        yield wrappers.squeezed
        yield wrappers.channels_last
        yield _then(wrappers.channels_last, wrappers.squeezed)
    elif len(x) == 4 and ("pad" in case.options or resizes(case.options)):
        yield wrappers.channels_last
        yield wrappers.single_sample
        yield _then(wrappers.single_sample, wrappers.channels_last)


def _convolution() -> Iterator[Layout]:
    for shape in ((-1,), (1, 1, 1, -1), (-1, 1), (1, -1), (1, -1, 1, 1), (-1, 1, 1)):
        biased = _biased(shape)
        if shape != (-1,):
            yield biased
        for weights in ("HWIO", "OHWI", "OIHW"):
            yield _then(biased, partial(wrappers.channels_last, weights=weights))
        for weights in ("HWIO", "IOHW"):
            yield _then(biased, partial(wrappers.weights_laid, weights=weights))
    yield wrappers.pads_itself
    yield _then(wrappers.channels_last, wrappers.pads_itself)
    yield wrappers.single_sample
    yield wrappers.single_channel
    yield wrappers.single_plane
    yield _then(wrappers.bias_per_pixel, wrappers.single_sample)
    yield wrappers.bias_per_pixel
    for biased in (_then(), _biased((-1, 1, 1, 1))):
        yield _then(biased, wrappers.batch_second)
    for biased in (_then(), _biased((-1, 1, 1, 1))):
        for weights in ("OIHW", "IHWO"):
            yield _then(biased, *_laid(weights), wrappers.batch_last)


def _sequences() -> Iterator[Layout]:
    for shape in ((-1,), (-1, 1), (1, -1), (1, -1, 1), (1, 1, -1)):
        if shape != (-1,):
            yield _biased(shape)
        for weights in ("LIO", "OLI", "OIL"):
            yield _then(_biased(shape), partial(wrappers.sequences_last, weights=weights))


def _laid(weights: str) -> tuple[Layout, ...]:
    return () if weights == "OIHW" else (partial(wrappers.weights_laid, weights=weights),)


def _dense() -> Iterator[Layout]:
    yield wrappers.weights_in_out
    flat, row, column = (-1,), (1, -1), (-1, 1)
    for shape in (row, column):
        yield _biased(shape)
        yield _then(_biased(shape), wrappers.weights_in_out)
    for biased in map(_biased, (column, flat)):
        yield _then(biased, wrappers.column_vectors)
        yield _then(biased, wrappers.weights_in_out, wrappers.column_vectors)
    yield _then(_biased(row), wrappers.weights_in_out, wrappers.one_at_a_time)
    yield _then(_biased(column), wrappers.column_vectors, wrappers.one_at_a_time)


def _normalization(places: tuple[int, int]) -> Iterator[Layout]:
    """Weight and bias, which are at these places, in other shapes."""
    for shape in ((1, -1), (-1, 1), (1, -1, 1, 1), (1, 1, 1, -1)):
        yield _parameters(places, shape)
    yield wrappers.channels_last
    for shape in ((1, -1), (1, 1, 1, -1)):
        yield _then(_parameters(places, shape), wrappers.channels_last)


def _then(*layouts: Layout) -> Layout:
    """Compose the layouts; the first one is the innermost."""

    def made(implementation: Implementation) -> Implementation:
        for layout in layouts:
            implementation = layout(implementation)
        return implementation

    return made


def _parameters(places: tuple[int, int], shape: tuple[int, ...]) -> Layout:
    """Pass the weight and the bias of a normalization in this shape."""
    return partial(wrappers.parameters_shaped, shape=shape, places=places)


def _biased(shape: tuple[int, ...]) -> Layout:
    return _then() if shape == (-1,) else lambda made: wrappers.bias_shaped(made, *shape)
