"""A network for those who have not trained one: the embedded digits, in a few seconds."""

import sys
from pathlib import Path

from numpy_cnn.common.data import digits, hold_out
from numpy_cnn.common.spec.backend import Backend
from numpy_cnn.common.spec.config import TrainConfig
from numpy_cnn.common.spec.initial import initial_parameters
from numpy_cnn.common.training.display import training_display
from numpy_cnn.common.training.interrupt import Interrupt
from numpy_cnn.common.training.loop import Interrupted, train
from numpy_cnn.common.training.plan import TrainingPlan
from numpy_cnn.common.training.run_folder import RunFolder


def train_on_digits(name: str, backend: type[Backend], folder: Path) -> Path:
    """Train SimpleCNN on the digits as `train` does without a flag; its best checkpoint, in `folder`.

    Raises:
        KeyboardInterrupt: Ctrl-C was pressed.
    """
    config, dataset = TrainConfig(), digits.load()
    architecture = config.network.architecture(digits.IMAGE_SIZE)
    training, validation = hold_out(dataset.train, config.validation, config.seed)
    plan = TrainingPlan(name, architecture, config, digits.IMAGE_SIZE, dataset.pixel, training, validation)
    network = backend(architecture, initial_parameters(architecture, config.seed), config.optimization)
    run = RunFolder(folder)
    print("no checkpoint is named: training on the embedded digits, a few seconds", file=sys.stderr, flush=True)
    with Interrupt() as interrupt, training_display(config.epochs, plan.batches) as display:
        try:
            train(network, plan, run, display, interrupt)
        except Interrupted:
            raise KeyboardInterrupt from None
    return run.best
