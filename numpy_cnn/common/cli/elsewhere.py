"""The names of other programs for our options and commands, and the nearest name to a misspelt one."""

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches

OPTIONS: Mapping[str, Sequence[str]] = {
    "activation": ("act", "activ", "act-fn", "activation-fn", "nonlinearity"),
    "arch": ("architecture", "model", "network", "net", "backbone", "model-name"),
    "batch-norm": ("bn", "use-bn", "batchnorm", "use-batch-norm", "with-bn"),
    "batch-size": (
        *("batch", "batchsize", "bs", "bsz", "b", "train-batch-size", "per-device-train-batch-size"),
        *("mini-batch", "minibatch", "mini-batch-size", "minibatch-size"),
    ),
    "betas": ("beta", "beta1", "beta2", "beta-1", "beta-2", "adam-beta1", "adam-beta2"),
    "checkpoint": ("ckpt", "model", "weights", "load", "resume", "run", "from-checkpoint", "net", "model-path"),
    "classes": ("num-classes", "n-classes", "nb-classes", "nclass", "num-labels"),
    "clip-norm": (
        "clip",
        "grad-clip",
        "clip-grad",
        "max-grad-norm",
        "max-norm",
        "gradient-clip",
        "clip-grad-norm",
    ),
    "clip-value": ("clip-grad-value", "max-grad-value"),
    "config": ("cfg", "conf", "yaml", "toml", "config-file", "settings"),
    "data": ("dataset", "ds", "data-set"),
    "data-dir": (
        *("data-path", "dataset-dir", "dataset-path", "data-root", "root", "dir", "train-dir", "data-folder"),
    ),
    "device": ("gpu", "gpus", "cuda", "no-cuda", "use-cuda", "use-gpu", "accelerator", "mps", "no-mps", "devices"),
    "dropout": ("drop", "drop-rate", "dropout-rate", "dropout-p", "p-drop"),
    "dtype": ("precision", "float", "data-type"),
    "epochs": (
        *("num-epochs", "n-epochs", "nb-epochs", "max-epochs", "epoch", "num-train-epochs", "iterations"),
        *("steps", "max-steps", "num-steps", "iters", "max-iter", "n-iter"),
    ),
    "eps": ("epsilon", "adam-eps", "adam-epsilon"),
    "examples": (
        "max-examples",
        "num-examples",
        "n-examples",
        "cases",
        "num-cases",
        "trials",
        "n",
        "count",
        "runs",
    ),
    "exitfirst": ("fail-fast", "failfast", "stop-on-failure", "stop-on-first-failure", "maxfail"),
    "file": ("out", "output", "to", "save", "dest", "o"),
    "filters": ("num-filters", "n-filters", "out-channels", "output-channels", "n-kernels", "feature-maps"),
    "gamma": ("lr-gamma", "decay-factor"),
    "hidden": ("hidden-size", "hidden-dim", "hidden-units", "num-hidden", "units", "n-hidden", "fc-size"),
    "image": ("images", "input", "picture", "img", "file", "source", "i"),
    "image-size": ("img-size", "imgsz", "input-size", "size", "resolution", "input-shape"),
    "impl": ("implementation", "function", "func", "fn", "op", "target"),
    "init": ("weight-init", "initializer", "initialization", "kernel-initializer"),
    "jobs": ("n-jobs", "workers", "num-workers", "processes", "n-workers", "parallel"),
    "kernel-size": ("kernel", "filter-size", "ksize", "k", "conv-size"),
    "limit": (
        *("max-samples", "num-samples", "subset", "max-train-samples", "n-samples", "n-train", "num-train"),
        "train-size",
    ),
    "lr": (
        *(
            "learning-rate",
            "lr-rate",
            "base-lr",
            "learningrate",
            "learn-rate",
            "eta",
            "lrate",
            "initial-lr",
            "lr0",
        ),
        *("init-lr", "start-lr", "max-lr", "step-length"),
    ),
    "nesterov": ("nesterov-momentum", "use-nesterov"),
    "optimizer": ("optim", "opt", "solver", "algorithm"),
    "out": (
        *("output", "output-dir", "out-dir", "outdir", "save-dir", "save", "save-path", "log-dir", "logdir", "o"),
        *("dest", "output-path", "output-file", "run-dir", "name", "run-name", "exp-name"),
    ),
    "padding": ("pad", "pads"),
    "paths": (
        "image",
        "images",
        "input",
        "picture",
        "img",
        "file",
        "source",
        "i",
        "checkpoint",
        "ckpt",
        "model",
        "weights",
    ),
    "patience": ("early-stopping", "early-stop", "earlystopping", "early-stopping-patience", "es-patience"),
    "port": ("p", "http-port"),
    "resume": (
        *("continue", "checkpoint", "ckpt", "weights", "load", "restore", "resume-from", "from-checkpoint"),
        *("resume-from-checkpoint", "resume-path", "pretrained"),
    ),
    "rotate": ("rotation", "degrees", "random-rotation", "max-rotation", "rotation-range", "angle"),
    "runs": ("run", "dir", "log-dir", "logdir", "input", "path"),
    "schedule": ("scheduler", "lr-scheduler", "lr-schedule", "sched", "lr-policy"),
    "seed": ("random-seed", "random-state", "rng-seed", "manual-seed", "rng", "torch-seed"),
    "shift": ("translate", "translation", "random-shift", "max-shift", "width-shift-range", "height-shift-range"),
    "steps": ("epochs", "num-epochs", "max-steps", "num-steps", "iterations", "iters"),
    "stride": ("strides",),
    "tensorboard": ("tb", "use-tensorboard", "tensorboard-dir", "tb-dir", "report-to", "tensorboard-logs"),
    "threads": ("num-threads", "n-threads", "cpus", "jobs", "n-jobs", "j", "nthreads"),
    "timeout": ("deadline", "time-limit", "max-time"),
    "validation": (
        *("val-split", "validation-split", "valid", "val", "val-size", "val-fraction", "val-ratio"),
        *("validation-ratio", "validation-fraction", "valid-size", "test-size"),
    ),
    "warmup-steps": ("warmup", "warm-up", "warmup-iters", "num-warmup-steps", "warmup-epochs"),
    "weight-decay": ("wd", "l2", "decay", "l2-reg", "l2-penalty", "reg", "regularization"),
}
COMMANDS: Mapping[str, Sequence[str]] = {
    "evaluate": ("eval", "test", "validate", "val", "score"),
    "predict": ("infer", "inference", "classify", "detect", "recognize"),
    "train": ("fit", "run", "resume", "continue"),
    "demo": ("serve", "gui", "web", "app", "ui"),
    "plot": ("visualize", "visualise", "viz", "curves", "graph"),
    "summary": ("info", "inspect", "describe", "layers"),
    "walkthrough": ("explain", "walk", "lesson", "tutorial"),
    "export": ("convert", "save"),
    "import": ("load",),
    "check": ("test", "verify", "compare"),
    "replay": ("rerun", "repeat"),
    "new": ("init", "create", "stub"),
}


def meant(typed: str, known: Iterable[str], others: Mapping[str, Sequence[str]] = OPTIONS) -> str | None:
    """The known name that another program calls `typed`, or the nearest one; None if no name is near."""
    name, known = typed.split("=")[0].lstrip("-").replace("_", "-").lower(), [*known]
    named = [one for one, names in others.items() if name in names and one in known]
    near = named or get_close_matches(name, known, n=1, cutoff=0.77)
    return near[0] if near else None


def nearest(
    typed: str, known: Iterable[str], prefix: str = "", others: Mapping[str, Sequence[str]] = OPTIONS
) -> str:
    """ ": did you mean …?" for another program's name or a misspelt one; empty if no name is near."""
    near = meant(typed, known, others)
    return f": did you mean {prefix}{near}?" if near else ""
