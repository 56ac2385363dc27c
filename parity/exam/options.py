"""Options that are ignored, swapped or doubled, in the whole op or only in its gradient."""

from collections.abc import Callable
from typing import Any, TypeAlias

from parity.exam.bug import plant
from parity.exam.changes import option
from parity.rows.registry import ROWS

EditOption: TypeAlias = Callable[[Any], Any]


def always(value: Any) -> EditOption:
    """An edit that returns a fixed value."""
    return lambda _: value


def swapped(value: Any) -> Any:
    """A pair in the reverse order; other values unchanged."""
    return value[::-1] if isinstance(value, tuple) else value


def doubled(value: Any) -> Any:
    """Twice a number, or twice each number of a tuple."""
    return tuple(2 * v for v in value) if isinstance(value, tuple) else 2 * value


IGNORED, SWAPPED, DOUBLED = "option-ignored", "option-swapped", "option-doubled"
ALWAYS_MEAN = f"{IGNORED} reduction-mean gradient-of-mean"
ALWAYS_SUM = f"{IGNORED} reduction-sum gradient-of-sum mean-missing"

# Row, option, right names, value for the sentence, edit.
TABLE: tuple[tuple[str, str, str, Any, EditOption], ...] = (
    ("conv1d", "dilation", IGNORED, 1, always(1)),
    ("conv_transpose2d", "stride", SWAPPED, None, swapped),
    ("conv_transpose2d", "padding", SWAPPED, None, swapped),
    ("conv_transpose2d", "output_padding", IGNORED, 0, always(0)),
    ("conv_transpose2d", "dilation", SWAPPED, None, swapped),
    ("avg_pool2d", "count_include_pad", IGNORED, True, always(True)),
    ("avg_pool2d", "count_include_pad", IGNORED, False, always(False)),
    ("avg_pool2d", "divisor_override", IGNORED, None, always(None)),
    ("avg_pool2d", "ceil_mode", f"{IGNORED} ceil-ignored", False, always(False)),
    ("avg_pool2d", "stride", f"{SWAPPED} stride-swapped", None, swapped),
    ("avg_pool2d", "padding", f"{SWAPPED} padding-swapped", None, swapped),
    ("adaptive_avg_pool2d", "output_size", SWAPPED, None, swapped),
    ("adaptive_max_pool2d", "output_size", SWAPPED, None, swapped),
    ("max_unpool2d", "output_size", IGNORED, None, always(None)),
    ("pad", "mode", IGNORED, "constant", always("constant")),
    ("pad", "value", IGNORED, None, always(None)),
    ("interpolate", "align_corners", IGNORED, None, lambda v: v and None),
    ("dropout", "training", f"{IGNORED} dropout-in-evaluation", True, always(True)),
    ("dropout", "training", f"{IGNORED} passes-upstream", False, always(False)),
    ("dropout2d", "training", f"{IGNORED} dropout-in-evaluation", True, always(True)),
    ("leaky_relu", "negative_slope", f"{IGNORED} slope-lost", 0, always(0.0)),
    ("leaky_relu", "negative_slope", DOUBLED, None, doubled),
    ("elu", "alpha", IGNORED, 1, always(1.0)),
    ("elu", "alpha", DOUBLED, None, doubled),
    ("softplus", "beta", IGNORED, 1, always(1.0)),
    ("gelu", "approximate", IGNORED, "none", always("none")),
    ("gelu", "approximate", IGNORED, "tanh", always("tanh")),
    ("batch_norm", "eps", IGNORED, 1e-05, always(1e-5)),
    ("batch_norm", "eps", f"{IGNORED} epsilon-ignored", 0, lambda eps: eps * 0),
    ("smooth_l1_loss", "beta", "option-squared", None, lambda beta: beta * beta),
    ("layer_norm", "eps", f"{IGNORED} epsilon-ignored", 0, lambda eps: eps * 0),
    ("layer_norm", "eps", DOUBLED, None, doubled),
    ("group_norm", "eps", DOUBLED, None, doubled),
    ("group_norm", "num_groups", IGNORED, 1, always(1)),
    ("instance_norm", "eps", DOUBLED, None, doubled),
    ("l1_loss", "reduction", ALWAYS_MEAN, "mean", always("mean")),
    ("smooth_l1_loss", "reduction", ALWAYS_SUM, "sum", always("sum")),
    ("smooth_l1_loss", "beta", IGNORED, 1, always(1.0)),
    ("huber_loss", "delta", IGNORED, 1, always(1.0)),
    ("huber_loss", "reduction", ALWAYS_MEAN, "mean", always("mean")),
    ("binary_cross_entropy_with_logits", "reduction", ALWAYS_MEAN, "mean", always("mean")),
    ("kl_div", "log_target", IGNORED, False, always(False)),
    ("kl_div", "log_target", IGNORED, True, always(True)),
    ("kl_div", "reduction", ALWAYS_MEAN, "mean", lambda r: "mean" if r == "batchmean" else r),
    ("kl_div", "reduction", f"{IGNORED} feature-sum", "batchmean", lambda r: "batchmean" if r == "mean" else r),
    ("RMSprop", "centered", f"{IGNORED} centered-ignored", False, always(False)),
    ("RMSprop", "weight_decay", f"{IGNORED} decay-ignored", 0, always(0.0)),
    ("RMSprop", "momentum", f"{IGNORED} momentum-ignored", 0, always(0.0)),
    ("Adagrad", "lr_decay", f"{IGNORED} lr-decay-ignored", 0, always(0.0)),
    ("Adagrad", "weight_decay", f"{IGNORED} decay-ignored", 0, always(0.0)),
)
# Options that determine the output's shape or do not affect the gradient: not planted in gradients only.
OF_OUTPUT = {"value", "stride", "padding", "dilation", "output_padding", "output_size", "ceil_mode", "reduction"}


def at_least(least: float) -> EditOption:
    """An edit that raises a number to a minimum; tuples and None stay."""
    return lambda value: max(least, value) if isinstance(value, int | float) else value


def one_of(*words: Any) -> EditOption:
    """An edit that replaces an unknown word by the first."""
    return lambda value: value if value in words else words[0]


def within_rank(value: Any) -> Any:
    """Replace an axis beyond the second by the first."""
    return value if abs(value) < 2 else 0


SIZE, AMOUNT, REDUCTION = at_least(1), at_least(0), one_of("mean", "sum", "none", "batchmean")
# Row, option, edit that silently repairs what torch rejects.
ACCEPTED: tuple[tuple[str, str, EditOption], ...] = (
    ("conv2d", "stride", SIZE),
    ("conv2d", "padding", AMOUNT),
    ("conv1d", "dilation", SIZE),
    ("conv_transpose2d", "stride", SIZE),
    ("max_pool2d", "stride", SIZE),
    ("avg_pool2d", "divisor_override", lambda divisor: divisor or None),
    ("pad", "mode", one_of("constant", "reflect", "replicate", "circular")),
    ("interpolate", "mode", one_of("nearest", "bilinear")),
    ("gelu", "approximate", one_of("none", "tanh")),
    ("flatten", "start_dim", within_rank),
    ("softmax", "dim", within_rank),
    ("batch_norm", "eps", AMOUNT),
    ("group_norm", "num_groups", SIZE),
    ("nll_loss", "reduction", REDUCTION),
    ("cross_entropy", "label_smoothing", lambda p: min(max(p, 0.0), 1.0)),
    ("mse_loss", "reduction", REDUCTION),
    ("huber_loss", "delta", at_least(0.1)),
    ("SGD", "lr", AMOUNT),
    ("Adam", "betas", lambda betas: tuple(min(max(beta, 0.0), 0.999) for beta in betas)),
    ("RMSprop", "weight_decay", AMOUNT),
)
for _row, _option, _edit in ACCEPTED:
    _says = f"A value of {_option} that torch rejects is silently repaired."
    _prefix = f"{_row}-accepts-any-{_option}".lower().replace("_", "-")
    plant(_row, _prefix, "accepts-invalid", option(_option, _edit), description=_says)

for _row, _option, _name, _value, _edit in TABLE:
    _kind = _name.split()[0].removeprefix("option-") + ("" if _value is None else f"-{_value}")
    _prefix = f"{_row}-{_option}-{_kind}".lower().replace("_", "-")
    _wrong = option(_option, _edit)
    plant(_row, _prefix, _name, _wrong, option=_option, value=_value)
    if _option not in OF_OUTPUT and ROWS[_row].kind == "op":
        plant(_row, f"{_prefix}-in-dx", _name, _wrong, "dx", option=_option, value=_value)
