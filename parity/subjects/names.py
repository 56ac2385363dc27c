"""Common names for torch's weight, bias, stride, padding, kernel_size, …

Names are compared in lower case and without underscores: `dW`, `d_w` and `_dw` are equal.
"""

import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from parity.cases.op import Array


def words(text: str) -> frozenset[str]:
    """The words of a text."""
    return frozenset(text.split())


WEIGHTS = frozenset({"weight", "weights", "w", "kernel", "kernels", "filter", "filters", "gamma", "theta",
                     "scaler", "bw"})  # fmt: skip
BIASES = frozenset({"bias", "biases", "b", "beta", "intercept", "bb", "w0"})
# Further names of the parameters of a layer; a constructor's `scale` is usually a number.
WEIGHT_ATTRIBUTES, BIAS_ATTRIBUTES = WEIGHTS | words("gain scale"), BIASES | words("shift offset")
PREDICTIONS = words("ypred yhat pred preds prediction predictions logits scores output outputs")
UPSTREAMS = words("""
    dout doutput douts dy dz da dh dl dvalues dnext grad grads gradient gradients gradoutput gradoutputs
    gradout outputgrad outputgradient gradientoutput delta deltas error errors err upstream upstreamgrad
    upstreamgradient dloss dldout dldy doutdy cotangent g gy eta outgrad dlast dldz dlda doutputs accumgrad
    lossgradient nextgrad incominggradient backwardgradient topdiff outputerror""")
CACHES = words("cache caches ctx context saved state store tape mem memory residuals")
OUTPUTS = words("y ans out output outputs yhat pred preds prediction predictions result activation activations")
INPUTS = words("x input inputs xs data aprev a image images img batch features inp inputtensor inputdata z")
TARGETS = words("target targets t label labels ytrue true truth gt groundtruth onehot")
RATES = frozenset({"lr", "learningrate", "learnrate"})
INVERTED = words("eval evaluate evaluating inference test istest testing")  # True where training is False
FLAGS = words("training train istraining mode verbose debug test istest trainable")
DICTS = (
    "param",
    "params",
    "config",
    "cfg",
    "conf",
    "hparameters",
    "hparams",
    "hyperparameters",
    "options",
    "opts",
)

DICT_NAMES = words("hp hyper hyperparams settings opt kwargs args")

# torch's defaults: an implementation without the option is checked only at its default.
DEFAULTS: dict[str, Any] = {
    "stride": 1, "padding": 0, "dilation": 1, "groups": 1, "ceil_mode": False, "reduction": "mean",
    "ignore_index": -100, "weight": None, "label_smoothing": 0.0, "dim": -1, "start_dim": 1, "end_dim": -1,
    "count_include_pad": True, "divisor_override": None, "output_padding": 0, "momentum": 0.1, "eps": 1e-5,
    "negative_slope": 0.01, "alpha": 1.0, "beta": 1.0, "threshold": 20.0, "approximate": "none", "delta": 1.0,
    "kernel_size": 2, "log_target": False, "pos_weight": None, "use_input_stats": True,
    "output_size": None,  # of max_unpool2d
    "size": None, "scale_factor": None, "align_corners": None, "value": None,
    "training": True,  # False in torch, but a normalization with a single mode uses the batch's statistics
}  # fmt: skip

_OPTIONS = {
    "stride": "stride strides s step strideshape stridesize",
    "padding": "padding pad paddings pads p zeropadding paddingsize",
    "dilation": "dilation dilations dilationrate",
    "groups": "groups group ngroups",
    "kernel_size": "kernelsize poolsize filtersize size ksize kernel windowsize pool k f poolingsize poolshape "
    "kernelshape filtershape window kernelsizes filterdim kerneldim f",
    "ceil_mode": "ceilmode",
    "scale_factor": "scalefactor scale factor upscale upscalefactor upsample upsamplefactor upsamplingfactor zoom",
    "reduction": "reduction",
    "dim": "dim axis",
    "ignore_index": "ignoreindex",
    "training": "training train istraining istrain trainflg trainflag trainmode mode phase",
    "momentum": "momentum decay",
    "eps": "eps epsilon",
    "p": "rate dropoutrate droprate pdrop dropp dropprob dropoutprob pdropout dropoutratio ratio prob keepprob "
    "pkeep keep probability dropout",
    "running_mean": "runningmean runmean movingmean meanrunning runningm",
    "running_var": "runningvar runvar movingvar varrunning runningvariance movingvariance runningv",
}
# Aliases of several options; the case's own one is meant.
SHARED = {"alpha": ("momentum", "negative_slope"), "slope": ("negative_slope",), "leak": ("negative_slope",)}
# Options that are meant by the name of another one if the case does not have it.
INSTEAD = {"padding": "pad", "kernel_size": "scale_factor", "groups": "num_groups"}
# Arguments of torch's batch_norm without a gradient; unused in training.
STATISTICS = ("running_mean", "running_var")
# Options with these names take a word.
MODES = frozenset({"mode", "phase"})
_HEIGHTS = {
    "kernel_size": "poolheight kernelheight kernelh poolh kh filterheight hfilter hh ph",
    "stride": "strideheight strideh sh",
    "padding": "padheight padh paddingh",
}
_WIDTHS = {
    "kernel_size": "poolwidth kernelwidth kernelw poolw kw filterwidth wfilter ww pw",
    "stride": "stridewidth stridew sw",
    "padding": "padwidth padw paddingw",
}
_SIZES = {
    "in_channels": """inch inchannels inputchannels inchannel inputchannel cin inc nin nchannels channels
    inputdepth depth infeature infeatures inputfeatures indim inputdim dimin ninputs numinputs inputsize
    insize inputs fanin ninput numchannels inputunits nfeatures din inputdims inplanes numfeatures features dim
    d dmodel nembd embdim embeddim embeddingdim hiddensize ndim""",
    "out_channels": """outchannels outputchannels outchannel outputchannel cout outc nout numfilters nfilters
    nfilter filters nkernels numkernels kernels outch outfeature outfeatures outputfeatures
    outdim outputdim dimout noutputs numoutputs
    outputsize
    outsize outputs units neurons nneurons numneurons fanout noutput filternum filternumber outputunits dout hidden
    numunits nunits outplanes filtercount nclasses numclasses""",
    "input_shape": "inputshape inshape shape imageshape xdim xshape imgshape",
    "height": "inputheight height inh imageheight h",
    "width": "inputwidth width inw imagewidth",
    "batch_size": "batchsize nbatch",
    "rank": "numdims",
    "kernel_shape": "convolutionshape convshape",  # (channels, height, width)
}
# In a constructor these are sizes if it takes other sizes too, otherwise arrays.
AMBIGUOUS = frozenset({"filters", "kernels", "kernel", "filter"})


def _inverted(table: Mapping[str, str]) -> dict[str, str]:
    return {alias: name for name, aliases in table.items() for alias in aliases.split()}


OPTIONS, HEIGHTS, WIDTHS, SIZES = map(_inverted, (_OPTIONS, _HEIGHTS, _WIDTHS, _SIZES))


@cache
def plain(name: str) -> str:
    """The name in the form used for comparisons."""
    return name.replace("_", "").lower()


@cache
def is_option(name: str) -> bool:
    """Whether a parameter with this name is an option, not an array."""
    short = plain(name)
    known = short in OPTIONS | HEIGHTS | WIDTHS | SHARED or short in FLAGS | INVERTED | RATES
    return known or name == "G" or is_dict(name)


def is_dict(name: str) -> bool:
    """Whether a parameter with this name takes a dict of options, such as `conv_param`."""
    return plain(name).endswith(DICTS) or plain(name) in DICT_NAMES


_INPUT, _OUTPUT = words("in input inputs prev previous"), words("out output outputs next")
_COUNT = words(
    "n num number of units unit features feature dim dims size channels channel neurons neuron nodes node d c ch"
)


@cache
def size_of(name: str) -> str | None:
    """The size that a parameter takes, by its name: in_channels for n_in, units_in, numInputs; None if unknown."""
    if plain(name) in SIZES:
        return SIZES[plain(name)]
    parts = {part.lower() for part in re.findall(r"[A-Z]?[a-z]+|[A-Z]+", name)}
    if (
        not parts & _COUNT
        or not parts <= _COUNT | _INPUT | _OUTPUT
        or bool(parts & _INPUT) == bool(parts & _OUTPUT)
    ):
        return None
    return "in_channels" if parts & _INPUT else "out_channels"


@cache
def gradient_names(stems: frozenset[str]) -> frozenset[str]:
    """Possible names of the gradient of an array with one of these names."""
    shapes = ("d{}", "grad{}", "gradient{}", "gradients{}", "{}grad", "{}grads", "{}gradient", "{}gradients",
              "delta{}", "{}delta", "dl{}", "dld{}", "dlossd{}", "g{}")  # fmt: skip
    return frozenset(shape.format(stem) for stem in stems for shape in shapes)


def sizes(arrays: tuple[Array | None, ...], options: Mapping[str, Any]) -> dict[str, Any]:
    """The sizes that a constructor may take (channels or features, the kernel, the image), from torch's layout."""
    x = arrays[0]
    assert x is not None
    found: dict[str, Any] = {"batch_size": x.shape[0] if x.ndim else 1, "input_shape": x.shape[1:], "rank": x.ndim}
    if x.ndim >= 2:
        found["in_channels"] = x.shape[1]
    if x.ndim == 4:
        found["height"], found["width"] = x.shape[2:]
    if len(options.get("normalized_shape", ())) == 1:
        found["in_channels"] = options["normalized_shape"][0]
    weight = arrays[1] if len(arrays) > 1 else None
    if weight is not None and weight.ndim >= 2:
        groups = options.get("groups", 1)
        found["out_channels"], found["in_channels"] = weight.shape[0], weight.shape[1] * groups
        if "output_padding" in options:  # a transposed convolution
            found["in_channels"], found["out_channels"] = weight.shape[0], weight.shape[1] * groups
        if weight.ndim > 2:
            found["kernel_size"] = weight.shape[2:]
            found["kernel_shape"] = weight.shape[1:]
    elif weight is not None and weight.ndim == 1:
        found["in_channels"] = weight.size
    return found


def one_number(value: Any) -> Any:
    """Convert (a, a) to a, for layers that take one number."""
    return value[0] if isinstance(value, tuple) and len(set(value)) == 1 else value


def two_numbers(value: Any) -> Any:
    """Convert a to (a, a), for layers that take only pairs."""
    return (value, value) if type(value) is int else value
