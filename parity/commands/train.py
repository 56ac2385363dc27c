"""`train`: both backends in training, step by step."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from numpy_cnn.common.spec.config import ArchitectureConfig, AugmentationConfig, DataConfig, OptimizerConfig
from numpy_cnn.common.spec.errors import UserError

if TYPE_CHECKING:
    from parity.report.training_run import Step, TrainingReport

HEADER = "   step   loss numpy_cnn   loss torch_cnn   drift     one ulp   worst error / allowed"


@dataclass(frozen=True)
class Train:
    """Train numpy_cnn and torch_cnn side by side and compare every step.

    - Gradients are compared from equal weights, updates from equal gradients.
    - The drift of the free runs is printed beside that of two PyTorch runs.
    """

    dataset: DataConfig = field(default_factory=DataConfig)
    network: ArchitectureConfig = field(default_factory=ArchitectureConfig)
    optimization: OptimizerConfig = field(default_factory=OptimizerConfig)
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    steps: int = 200
    """Training steps."""
    batch_size: int = 64
    """Images per step."""
    seed: int = 0
    """Of the initial parameters and of the batches."""
    dtype: Literal["float32", "float64"] = "float64"
    """Precision of both backends."""
    plot: Path | None = None
    """File for a picture of both drifts, as PNG."""

    def run(self) -> int:
        """Print some steps, the worst errors of each parameter, and the verdict; return the exit code."""
        if min(self.steps, self.batch_size) < 1 or self.seed < 0:
            raise UserError(
                f"--steps and --batch-size must be at least 1 and --seed not negative, got {self.steps}, "
                f"{self.batch_size} and {self.seed}"
            )
        from numpy_cnn.common.data import IMAGE_SIZES, fit, load
        from parity.api.lockstep import train_in_lockstep
        from parity.report.training_run import TrainingReport

        architecture = self.network.architecture(IMAGE_SIZES[self.dataset.data])
        self.augmentation.check(architecture.image_size)
        dataset = load(self.dataset.data, self.dataset.data_dir, download=self.dataset.download)
        dataset, note = fit(dataset, architecture.image_size, architecture.classes)
        if note:
            print(note)
        print(HEADER, flush=True)
        steps = []
        for step in train_in_lockstep(
            architecture,
            self.optimization,
            dataset.train.images,
            dataset.train.labels,
            batch_size=self.batch_size,
            steps=self.steps,
            seed=self.seed,
            dtype=self.dtype,
            augmentation=self.augmentation,
            background=dataset.pixel.background,
        ):
            steps.append(step)
            if step.number in (1, 2, 5, 10, 20, 50, self.steps) or step.number % 100 == 0:
                print(_line(step), flush=True)
        report = TrainingReport(self.dtype, tuple(steps))
        _print_verdict(report)
        if self.plot is not None:
            from parity.report.drift import draw_drift

            draw_drift(report, f"{self.network.arch}, {self.optimization.optimizer}, {self.dtype}", self.plot)
            print(f"wrote {self.plot}")
        return 0 if report.ok else 1


def _line(step: "Step") -> str:
    what, fraction = step.worst
    return (
        f"{step.number:7}   {step.numpy_loss:.10f}     {step.torch_loss:.10f}     {step.drift:.1e}   "
        f"{step.ulp_drift:.1e}   {fraction:.2g} in {what}"
    )


def _print_verdict(report: "TrainingReport") -> None:
    worst = report.worst
    width = max(map(len, worst))
    print("worst errors from equal weights, as fractions of what is allowed (at most 1 agrees):")
    print(f"  {'':{width}}   gradient   update")
    for name, (gradient, update) in worst.items():
        print(f"  {name:{width}}   {gradient:<8.2g}   {update:.2g}")
    departure = report.departure
    if departure is None:
        print(f"the backends agree in each of {len(report.steps)} steps")
        return
    what = "the gradient" if departure.part == "gradient" else "from equal gradients, the update"
    print(
        f"the backends DISAGREE: in step {departure.step}, {what} of {departure.parameter} has "
        f"{departure.fraction:.2g} times the error allowed"
    )
