"""`train`: whole training runs of both backends, step by step."""

from dataclasses import dataclass, field

from numpy_cnn.common.spec.config import ArchitectureConfig, DataConfig, OptimizerConfig
from numpy_cnn.common.spec.errors import UserError


@dataclass(frozen=True)
class Train:
    """Train numpy_cnn and torch_cnn side by side in float64, and compare losses and parameters."""

    dataset: DataConfig = field(default_factory=DataConfig)
    network: ArchitectureConfig = field(default_factory=ArchitectureConfig)
    optimization: OptimizerConfig = field(default_factory=OptimizerConfig)
    steps: int = 200
    """Training steps."""
    batch_size: int = 64
    """Images a step."""
    seed: int = 0
    """Of the initial parameters and of the batches."""

    def run(self) -> int:
        """Print some steps and the distances at the end; the exit code."""
        if min(self.steps, self.batch_size) < 1 or self.seed < 0:
            raise UserError(
                f"--steps and --batch-size must be at least 1 and --seed not negative, got {self.steps}, "
                f"{self.batch_size} and {self.seed}"
            )
        from numpy_cnn.common.data import IMAGE_SIZES, fit, load
        from parity.api.training import Step, compare_training

        architecture = self.network.architecture(IMAGE_SIZES[self.dataset.data])
        dataset = load(self.dataset.data, self.dataset.data_dir, download=self.dataset.download)
        dataset, note = fit(dataset, architecture.image_size, architecture.classes)
        if note:
            print(note)
        images, labels = dataset.train.images, dataset.train.labels
        print("   step   loss numpy_cnn           loss torch_cnn           difference", flush=True)
        run = compare_training(
            architecture,
            self.optimization,
            images,
            labels,
            batch_size=self.batch_size,
            steps=self.steps,
            seed=self.seed,
        )
        for number, item in enumerate(run, start=1):
            if not isinstance(item, Step):
                fractions = item.fractions()
                break
            if number in (1, 2, 5, 10, 20, 50, self.steps) or number % 100 == 0:
                print(
                    f"{number:7}   {item.numpy:.17f}     {item.torch:.17f}     {abs(item.numpy - item.torch):.1e}"
                )
        print("distance at the end, as a fraction of what roundoff explains (at most 1 agrees):")
        for name, fraction in fractions.items():
            print(f"  {name:14} {fraction:.2g}")
        agree = max(fractions.values()) <= 1
        print("the runs agree" if agree else "the runs DISAGREE")
        return 0 if agree else 1
