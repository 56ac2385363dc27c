"""Scripts for breaches of purity: what was there before a call, and what is there after it."""

from parity.diagnosis.call_forms import Way

SPOILT = 77


def breach_lines(message: str, way: Way, gradient: str, arrays: dict[str, str]) -> list[str] | None:
    """Lines that set `before` and `after`, which should be equal; None for a breach of another kind.

    Args:
        message: of the difference.
        way: how the implementation is called.
        gradient: the expression of the gradient in question.
        arrays: the names that the script has for the arguments, by torch's.
    """
    held = {"the output": "y", "its cotangent": "dy"} | {f"the {torchs}": name for torchs, name in arrays.items()}
    forward = [*way.forward]
    who, wrote, what = message.partition(" wrote to ")
    if wrote and what in held:
        kept = f"before, after = np.array({held[what]}), {held[what]}"
        return [kept, *forward] if who == "the forward" else [*forward, kept, way.backward]
    if message.startswith(("another call", "the gradient accumulates", "called again")):
        return [*forward, f"before = np.array({gradient})", f"after = {gradient}"]
    if message.startswith("writing to a gradient"):
        spoil = [f"gradient = {gradient}", "before = np.array(gradient)", f"gradient[...] = {SPOILT}"]
        return [*forward, *spoil, f"after = {gradient}"]
    other = [line.replace("y, ", "_, ", 1).replace("(x", "(x + 1", 1) for line in forward]
    if message.startswith("the next call"):
        return [*forward, "before, after = np.array(y), y", *other]
    if message.startswith("a call on other numbers"):
        other = [line.replace("pullback =", "_ =").replace("cache =", "_ =") for line in other]
        return [*forward, f"before = np.array({gradient})", *forward, *other, f"after = {gradient}"]
    return None
