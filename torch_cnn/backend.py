"""The PyTorch backend: forward, loss, backward and update, as the shared loop calls them."""

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  # the name the field uses

from numpy_cnn.common.spec.architecture import Architecture
from numpy_cnn.common.spec.backend import Array, one_hot
from numpy_cnn.common.spec.config import OptimizerConfig
from torch_cnn.model import SimpleCNN


class Backend:
    """`numpy_cnn.common.spec.backend.Backend` in PyTorch."""

    def __init__(
        self,
        architecture: Architecture,
        parameters: dict[str, Array],
        optimizer: OptimizerConfig,
        optimizer_state: dict[str, Array] | None = None,
        threads: int | None = None,
    ) -> None:
        self.threads = threads
        if threads is not None:
            torch.set_num_threads(threads)  # for the whole process: PyTorch has no narrower setting
        self.model = SimpleCNN(architecture, parameters=parameters)
        self.named = {name: self.model.get_parameter_or_buffer(name) for name in architecture.parameter_shapes()}
        trained = [self.named[name] for name in architecture.trained]
        kind = {"adam": torch.optim.Adam, "sgd": torch.optim.SGD}[optimizer.optimizer]
        self.optimizer: torch.optim.Optimizer = kind(trained, **optimizer.settings())
        for name, array in (optimizer_state or {}).items():
            parameter, _, key = name.rpartition(".")
            self.optimizer.state[self.named[parameter]][key] = torch.from_numpy(np.array(array, order="C"))

    def train_step(self, images: Array, labels: Array, lr: float) -> tuple[float, Array]:
        scores = self.model.train()(torch.from_numpy(images))
        loss = self._loss(scores, labels)
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it without annotations
        self.optimizer.param_groups[0]["lr"] = lr
        self.optimizer.step()
        return loss.item(), scores.detach().numpy()

    def quantities(self, images: Array, labels: Array) -> Iterator[tuple[str, Array]]:
        y, outputs = torch.from_numpy(images), {}
        self.model.train()
        for name, layer in self.model.named_children():
            y = layer(y)
            yield f"the output of {name}", y.detach().numpy()
            if y.requires_grad:  # not behind a fixed kernel
                y.retain_grad()
                outputs[name] = y
        loss = self._loss(y, labels)
        yield "the loss", loss.detach().numpy()
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it without annotations
        for name, output in reversed(outputs.items()):
            if output.grad is not None:
                yield f"the gradient of the output of {name}", output.grad.numpy()
            for own, parameter in self.named.items():
                if own.startswith(f"{name}.") and parameter.grad is not None:
                    yield f"the gradient of {own}", parameter.grad.numpy()

    @torch.no_grad()
    def logits(self, images: Array) -> Array:
        scores: Array = self.model.eval()(torch.from_numpy(images)).numpy()
        return scores

    def loss(self, scores: Array, labels: Array) -> float:
        return self._loss(torch.from_numpy(scores), labels).item()

    def probabilities(self, scores: Array) -> Array:
        probabilities: Array = F.softmax(torch.from_numpy(scores), dim=1).numpy()
        return probabilities

    def parameters(self) -> dict[str, Array]:
        return {name: parameter.detach().numpy() for name, parameter in self.named.items()}

    def optimizer_state(self) -> dict[str, Array]:
        state = self.optimizer.state
        return {
            f"{name}.{key}": value.numpy()
            for name, parameter in self.named.items()
            for key, value in state.get(parameter, {}).items()
            if torch.is_tensor(value)
        }

    def _loss(self, scores: torch.Tensor, labels: Array) -> torch.Tensor:
        if self.model.architecture.loss == "mse":
            return F.mse_loss(
                scores, torch.from_numpy(one_hot(labels, scores.shape[1], scores.detach().numpy().dtype))
            )
        return F.cross_entropy(scores, torch.from_numpy(labels))
