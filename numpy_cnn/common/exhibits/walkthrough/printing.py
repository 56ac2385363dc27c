"""The printed form of a walkthrough: shapes and samples, as NumPy prints them."""

from collections.abc import Iterator, Sequence

from numpy_cnn.common.exhibits.walkthrough.lesson import Lesson
from numpy_cnn.common.exhibits.walkthrough.trace import Array, Trace

_AFTER = {"conv1": "Convolution", "relu1": "ReLU", "pool1": "Max Pooling"}


def lines_of(lesson: Lesson, traces: Sequence[Trace]) -> Iterator[str]:
    """The lines to print: forward pass, epochs, backward pass. Of several filters the first is sampled."""
    assert lesson.label is not None
    first, last = traces[0], traces[-1]
    kernels = lesson.parameters["conv1.weight"]
    yield f"Input Image shape: {_plane(lesson.inputs).shape}"
    yield f"Input Image sample data (5x5):\n{_sample(lesson.inputs)}"
    yield f"\nConvolution Kernel{_first_of(kernels)}:\n{kernels[0, 0]}"
    for name, after in _AFTER.items():
        plane = _plane(first.values[name])
        size = f"shape {plane.shape}{_first_of(first.values[name][0])}"
        yield f"\nAfter {after} ({size}): sample 5x5 values:\n{_sample(first.values[name])}"
    flat = first.values["flatten"][0]
    yield f"\nAfter Flattening: shape {flat.shape}"
    yield f"Flattened vector sample (first 10 values): {_plain(flat[:10])}"
    if "relu2" in first.values:
        hidden = first.values["relu2"][0]
        yield f"\nAfter the Hidden Layer: shape {hidden.shape}, of which {int((hidden > 0).sum())} are not 0"
        yield f"Hidden vector sample (first 10 values): {_plain(hidden[:10])}"

    for epoch, trace in enumerate(traces[:-1]):
        yield f"\n===== Epoch {epoch} ====="
        yield f"Flattened input size: {trace.values['flatten'][0].shape}"
        yield from _answer(trace, lesson.label)
    yield "\n===== Before training =====" if len(traces) == 1 else f"\n===== After {len(traces) - 1} epochs ====="
    yield from _answer(last, lesson.label)

    yield "\n===== Backward, before the first step ====="
    yield f"Gradient at the logits (probabilities - one-hot label): {_plain(first.gradients[first.scores][0])}"
    back = first.gradients["flatten"][0]
    yield f"Gradient at the flattened vector: shape {back.shape}"
    yield f"Flattened gradient sample (first 10 values): {_plain(back[:10])}"
    for name, after in reversed(_AFTER.items()):
        gradient = first.gradients[name]
        size = f"shape {_plane(gradient).shape}{_first_of(gradient[0])}"
        yield f"\nGradient after {after} ({size}): sample 5x5 values:\n{_sample(gradient)}"
    routed, places = int(first.routes.sum()), first.routes.size
    live = int(((first.routes > 0) & (first.values["conv1"] > 0)).sum())
    yield f"\nPooling routed the gradient to {routed} of {places} positions; ReLU passed it at {live} of them"
    reached = int((first.gradients["input"] != 0).sum())
    yield f"Gradient at the input: {reached} of {lesson.inputs.size} pixels are nonzero: sample 5x5 values:"
    yield str(_sample(first.gradients["input"]))
    held = "" if "conv1.weight" in lesson.architecture.trained else " (which is fixed)"
    yield f"\nGradient of the kernel{_first_of(kernels)}{held}:\n{_plain(first.parameters['conv1.weight'][0, 0])}"


def stages_of(lesson: Lesson, traces: Sequence[Trace]) -> Iterator[str]:
    """The lines to print for a network of any layers: one for each, then the answers."""
    assert lesson.label is not None
    first = traces[0]
    width = max(map(len, first.values)) + 2
    yield f"{'layer':{width}}{'shape':>14}{'smallest':>14}{'largest':>14}{'largest gradient':>20}"
    for name, value in first.values.items():
        shape, slope = "x".join(map(str, value.shape[1:])), abs(first.gradients[name]).max()
        yield f"{name:{width}}{shape:>14}{value.min():>14.6g}{value.max():>14.6g}{slope:>20.6g}"
    for epoch, trace in enumerate(traces):
        yield f"\n===== After {epoch} steps ====="
        yield from _answer(trace, lesson.label)


def _answer(trace: Trace, label: int) -> Iterator[str]:
    yield f"Logits before softmax: {_plain(trace.values[trace.scores][0])}"
    yield f"\nSoftmax probabilities: {_plain(trace.probabilities[0])}"
    yield f"Cross-Entropy Loss: {trace.loss}"
    yield f"Predicted class: {trace.answer} | Correct: {trace.answer == label}"


def _first_of(filters: Array) -> str:
    return f", the first of {len(filters)}" if len(filters) > 1 else ""


def _plane(stage: Array) -> Array:
    """The first channel of a stage (1, C, H, W)."""
    plane: Array = stage[0, 0]
    return plane


def _sample(stage: Array) -> Array:
    return _plain(_plane(stage)[:5, :5])


def _plain(array: Array) -> Array:
    """The array without negative zeros."""
    plain: Array = array + 0.0
    return plain
