"""Imports, in the process from which others fork, what each of them would import."""

from parity.commands.large_imports import import_rows

# torch.optim imports the last two when it creates an optimizer.
import_rows("parity.commands.parallel", "torch_cnn.model", "torch._dynamo", "torch.profiler")
