"""`parity.check`: the function that commands, `watch`, pytest, notebooks and scripts all use."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from parity.api.adhoc import Shapes
from parity.api.arguments import check_rows, row_for, second_derivatives, supports_for
from parity.api.checked import NUMPY_CNN, Checked, Own
from parity.api.defaults import SESSION, examples_for, seed_for
from parity.api.shard import Shard
from parity.cases.case import Dtype, Lane
from parity.cases.errors import ArgumentError
from parity.cases.limits import TIME_LIMIT
from parity.cases.restrict import Supports
from parity.cases.torch_op import oracle_on
from parity.report import Report, RowReport
from parity.report.rerun import RerunFlags, rerun_flags_of
from parity.running.progress import Progress
from parity.running.row import run_row
from parity.subjects import adapt
from torch_cnn.device import find


def check(
    name: str,
    implementation: Checked = NUMPY_CNN,
    *,
    examples: int | None = None,
    seed: int | None = None,
    lanes: Iterable[Lane] | None = None,
    dtype: Dtype | None = None,
    supports: Supports | None = None,
    accept: Iterable[str] = (),
    strict: bool | None = None,
    exitfirst: bool = False,
    second: bool = False,
    timeout: float | None = TIME_LIMIT,
    like: Callable[..., Any] | None = None,
    shapes: Shapes | None = None,
    strategy: Any = None,
    options: Mapping[str, Any] | None = None,
    seconds: float | None = None,
    shard: Shard | None = None,
    device: str = "cpu",
    progress: Progress | None = None,
    rerun: RerunFlags | None = None,
) -> Report:
    """Compare an implementation with torch on generated cases.

        report = parity.check("conv2d", my_conv2d)
        assert report.ok, report

        parity.check("conv2d", (conv_forward, conv_backward), supports={"groups": 1, "square": True})
        parity.check("gelu", my_gelu, like=torch.nn.functional.gelu)

    Every finding has a verdict: `wrong` (numbers, shapes, a crash, overwritten arguments), `convention` (a
    well-known choice other than torch's, recognized by its numbers), `special` (only NaN, ±inf or −0 differ) or
    `contract` (dtype changed, a memory layout or an empty batch rejected). The first two are failures, unless
    `accept` names them; the others are failures only with `strict`, and notes otherwise.

    Args:
        name: a row of the registry, such as "conv2d"; any name with `like`.
        implementation: a function that returns (y, pullback), a pair (forward, backward) or a class, as its author
            wrote it, see `parity.subjects`; numpy_cnn's own if omitted. It declines a case by raising
            NotImplementedError.
        examples: cases per lane; if omitted, the value of pytest, pyproject.toml or Hypothesis' settings, or 200.
        seed: the same seed draws the same cases.
        lanes: of "exact", "bound", "structure", "special"; all lanes of the row if omitted.
        dtype: "float32" or "float64"; both if omitted.
        supports: generate only such cases: {"groups": 1, "square": True}, or a predicate over the Case; see
            `parity.cases.restrict`.
        accept: findings that are not failures: conventions, by the names that reports give them; dtype, purity,
            layout and empty; ties and special.
        strict: whether `special` and `contract` findings are failures; numpy_cnn's own ops are always checked
            strictly.
        exitfirst: stop after the first lane with a failure.
        second: also compare Hessian-vector products with torch's double backward, in a further row of the report;
            docs/how-parity-works.md describes how an implementation offers them.
        timeout: time limit for one call, in seconds; None for no limit.
        like: a torch function as the oracle, for an op without a row.
        shapes: with `like`, of the arrays: "n c h w, c"; see `parity.api.adhoc`.
        strategy: with `like`, a Hypothesis strategy of cases or of shapes instead.
        options: with `like`, keywords for both sides; a value may be a strategy.
        seconds: fuzz each lane for this long instead of running `examples` cases; see `parity.running.fuzz`.
        shard: run only this part of the cases, with its own seed; see `parity.api.shard`.
        device: where torch computes: "cpu", "cuda", "mps" or "auto"; see `torch_cnn.device.reproducible`.
        progress: receives the events of the run.
        rerun: how a command was called, for the failures' "again" line; found from the implementation if omitted.

    Returns:
        a Report: `.ok`, `.failures` with the smallest case for each wrong quantity, `.notes`, `.to_json()`.

    Raises:
        KeyError: the registry has no such row.
        TypeError: the form of the implementation is not recognized, or with `second` it offers no second
            derivatives; the message names what is missing.
        ValueError: an argument is invalid for the row; the message has its value and the valid ones.
        UserError: there is no such device, or fewer cases than shards.
    """
    if timeout is not None and not (isinstance(timeout, (int, float)) and timeout > 0):
        raise ArgumentError(f"timeout must be more than 0 seconds, or None for no limit; got {timeout!r}")
    row = row_for(name, implementation, like, shapes=shapes, strategy=strategy, options=options)
    rows = [row, second_derivatives(row, implementation)] if second else [row]
    own = isinstance(implementation, Own)
    check_rows(SESSION.get(), row.name)
    defaults = SESSION.get().of_row(row.name)
    given = (accept,) if isinstance(accept, str) else tuple(accept)
    accepted = given if own else tuple(dict.fromkeys((*defaults.accept, *given)))
    restrictions = supports if own else supports_for(row, supports, defaults)
    op = replace(adapt(row.op if own else implementation), timeout=timeout)
    if rerun is None:
        rerun = rerun_flags_of(None if own else implementation, restrictions, accepted, timeout, like, shapes)
    count = examples_for(defaults.examples if examples is None else examples)
    chosen = seed_for(defaults.seed if seed is None else seed)
    done: list[RowReport] = []
    with oracle_on(find(device)):
        for each in rows:
            if done and done[0].failures:
                done[0].notes.append("second derivatives are not compared: the first ones, or the output, differ")
                break
            found = run_row(
                each,
                op,
                examples=count if shard is None else shard.examples(count),
                seed=chosen if shard is None else shard.seed(chosen),
                lanes=lanes if each is row else None,  # second derivatives have fewer lanes
                dtype=dtype,
                supports=restrictions,
                accept=accepted,
                strict=own or bool(defaults.strict if strict is None else strict),
                exitfirst=exitfirst,
                seconds=seconds,
                rerun=rerun,
                progress=Progress() if progress is None else progress,
            )
            done.append(found)
    return Report(done, chosen, count, None if shard is None else str(shard))
