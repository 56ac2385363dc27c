"""Write docs/options.md: torch's functions for CNNs, and which of their options numpy_cnn supports.

    python docs/options.py            # write the page
    python docs/options.py --check    # write nothing; exit 1 if the page differs

Torch's options are read from its signatures, numpy_cnn's from its own, and the differences from parity.
"""

import inspect
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  # the name the field uses

from numpy_cnn import ops, optim
from parity.rows.differences import DIFFERENCES

PAGE = Path(__file__).with_name("options.md")
# torch.nn.functional's functions that a CNN may contain, by what they do.
FAMILIES = {
    "Convolution": """
        conv1d conv2d conv3d conv_transpose1d conv_transpose2d conv_transpose3d fold unfold
    """,
    "Dense": """
        linear bilinear flatten
    """,
    "Pooling": """
        avg_pool1d avg_pool2d avg_pool3d max_pool1d max_pool2d max_pool3d max_unpool1d max_unpool2d
        max_unpool3d lp_pool1d lp_pool2d adaptive_avg_pool1d adaptive_avg_pool2d adaptive_avg_pool3d
        adaptive_max_pool1d adaptive_max_pool2d adaptive_max_pool3d fractional_max_pool2d
    """,
    "Activation": """
        celu elu gelu glu hardshrink hardsigmoid hardswish hardtanh leaky_relu logsigmoid log_softmax mish
        prelu relu relu6 rrelu selu sigmoid silu softmax softmin softplus softshrink softsign tanh
        tanhshrink threshold
    """,
    "Normalization": """
        batch_norm group_norm instance_norm layer_norm local_response_norm normalize rms_norm
    """,
    "Dropout": """
        alpha_dropout dropout dropout1d dropout2d dropout3d feature_alpha_dropout
    """,
    "Resizing and padding": """
        affine_grid grid_sample interpolate pad pixel_shuffle pixel_unshuffle
    """,
    "Loss": """
        binary_cross_entropy binary_cross_entropy_with_logits cosine_embedding_loss cross_entropy
        gaussian_nll_loss hinge_embedding_loss huber_loss kl_div l1_loss margin_ranking_loss mse_loss
        multi_margin_loss multilabel_margin_loss multilabel_soft_margin_loss nll_loss poisson_nll_loss
        smooth_l1_loss soft_margin_loss triplet_margin_loss
    """,
}
DEPRECATED = {"size_average", "reduce", "_stacklevel"}  # according to torch's documentation, or missing in it
OPTIMIZERS = ("SGD", "Adam", "AdamW", "RMSprop", "Adagrad", "Adadelta", "Adamax", "NAdam", "RAdam")


def options(function: Callable[..., Any]) -> list[str]:
    """The names of a function's parameters; of a built-in, from the first line of its docstring."""
    try:
        names = list(inspect.signature(function).parameters)
    except ValueError:
        found = re.search(r"\w+\(([^)]*(?:\([^)]*\)[^)]*)*)\) *->", inspect.getdoc(function) or "")
        given = re.sub(r"\([^)]*\)", "", found[1]) if found else ""
        names = [name.split("=")[0].split(":")[0].strip(" *") for name in given.split(",")]
    return [name for name in names if name and name not in DEPRECATED | {"self", "args", "kwargs", "/"}]


def row(name: str, theirs: Callable[..., Any], ours: Callable[..., Any] | None) -> str:
    """One line of a table."""
    if ours is None:
        return f"| {name} | | not supported |"
    wanted, has = options(theirs), options(ours)
    assert wanted, f"torch's {name} has no signature that can be read"
    missing = [option for option in wanted if option not in has]
    own = [option for option in has if option not in wanted]
    supported = ", ".join(
        [*(option for option in wanted if option in has), *(f"{option} (only here)" for option in own)]
    )
    return f"| `{name}` | {supported} | {', '.join(missing)} |"


def page() -> str:
    """The whole page."""
    lines = [
        "# Options",
        "",
        "Which of torch's functions and options `numpy_cnn` supports. `python docs/options.py` writes this page",
        "from the signatures of both. An option that is not supported is not a parameter: Python rejects it with",
        "a `TypeError`. Deprecated parameters (`size_average`, `reduce`) and the deprecated reduction",
        "`elementwise_mean` are left out.",
    ]
    for family, names in FAMILIES.items():
        lines += ["", f"## {family}", "", "| function | supported | not supported |", "|---|---|---|"]
        for name in names.split():
            module = torch if name in ("flatten", "sigmoid", "tanh") else F
            # max_pool2d dispatches to this one, which has the signature.
            theirs = getattr(F, f"{name}_with_indices", None) or getattr(module, name)
            lines.append(row(name, theirs, getattr(ops, name, None)))
    lines += ["", "## Optimizers", "", "| class | supported | not supported |", "|---|---|---|"]
    for name in OPTIMIZERS:
        theirs, ours = getattr(torch.optim, name), getattr(optim, name, None)
        line = row(name, theirs.__init__, ours.__init__ if ours else None)
        lines.append(line.replace("(only here)", "(in place of params)"))
    lines += [
        "",
        "## Calls that differ on purpose",
        "",
        "What torch accepts is accepted with the same result, and what it rejects is rejected, as",
        "`tests/numpy_cnn/ops/test_random_calls.py` checks on random calls of every op, except in these cases.",
        "A test evaluates them on both sides.",
        "",
        "| call | accepted by | reason |",
        "|---|---|---|",
        *(f"| `{d.call}` | {d.accepted_by} | {d.reason} |" for d in DIFFERENCES),
    ]
    return "\n".join(lines) + "\n"


def main(arguments: list[str]) -> int:
    """Write the page, or compare it."""
    written = page()
    if "--check" in arguments:
        if PAGE.read_text(encoding="utf-8") == written:
            return 0
        print(f"{PAGE.name} is stale: run python docs/options.py", file=sys.stderr)
        return 1
    PAGE.write_text(written, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
