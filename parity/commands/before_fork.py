"""Imports, in the process from which others fork, what each of them would import."""

import gc

from parity.commands.large_imports import import_rows

# torch.optim imports the last two when it creates an optimizer.
import_rows("parity.commands.parallel", "torch_cnn.model", "torch._dynamo", "torch.profiler")
# A row leaves 10 MB of garbage in cycles; Python would look for it 150 times, for 4 % of the time.
gc.set_threshold(50_000)
