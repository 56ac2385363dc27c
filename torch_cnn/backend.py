"""The PyTorch backend: forward, loss, backward and update, as the shared loop calls them."""

from collections.abc import Callable, Iterator, Mapping

import torch
import torch.nn.functional as F  # noqa: N812  # the name the field uses

from numpy_cnn.common.spec.architecture import Architecture
from numpy_cnn.common.spec.backend import NONE, Array, Masks
from numpy_cnn.common.spec.config import OptimizerConfig
from torch_cnn import device as devices
from torch_cnn.device import host
from torch_cnn.model import Dropout, SimpleCNN

OPTIMIZERS: Mapping[str, Callable[..., torch.optim.Optimizer]] = {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
}


class Backend:
    """`numpy_cnn.common.spec.backend.Backend` in PyTorch, on the device that `torch_cnn.device` selected."""

    def __init__(
        self,
        architecture: Architecture,
        parameters: dict[str, Array],
        optimizer: OptimizerConfig,
        optimizer_state: dict[str, Array] | None = None,
        threads: int | None = None,
    ) -> None:
        self.threads, self.device = threads, devices.selected()
        if threads is not None:
            torch.set_num_threads(threads)  # for the whole process: PyTorch has no narrower setting
        self.model = SimpleCNN(architecture, parameters=parameters).to(self.device)
        self.named = {name: self.model.get_parameter_or_buffer(name) for name in architecture.parameter_shapes()}
        trained = [self.named[name] for name in architecture.trained]
        self.optimizer = OPTIMIZERS[optimizer.optimizer](trained, **optimizer.settings())
        self.clip_norm, self.clip_value = optimizer.clip_norm, optimizer.clip_value
        for name, array in (optimizer_state or {}).items():
            parameter, _, key = name.rpartition(".")
            self.optimizer.state[self.named[parameter]][key] = devices.state_tensor(key, array, self.device)

    def train_step(self, images: Array, labels: Array, lr: float, masks: Masks = NONE) -> tuple[float, Array]:
        scores = self._in_training(masks)(self._tensor(images))
        loss = self._loss(scores, labels)
        self._backward(loss)
        self._step(lr)
        return float(host(loss)), host(scores)

    def gradients(
        self, images: Array, labels: Array, masks: Masks = NONE
    ) -> tuple[float, Array, dict[str, Array]]:
        scores = self._in_training(masks)(self._tensor(images))
        outputs = scores.shape[1] if self.model.architecture.loss == "mse" else 1
        loss = self._loss(scores, labels, reduction="sum") / outputs
        self._backward(loss)
        gradients = {name: host(p.grad) for name, p in self.named.items() if p.grad is not None}
        return float(host(loss)), host(scores), gradients

    def update(self, gradients: dict[str, Array], lr: float) -> None:
        for name, gradient in gradients.items():
            self.named[name].grad = self._tensor(gradient)
        self._step(lr)

    def quantities(self, images: Array, labels: Array, masks: Masks = NONE) -> Iterator[tuple[str, Array]]:
        y, outputs = self._tensor(images), {}
        for name, layer in self._in_training(masks).named_children():
            y = layer(y)
            yield f"the output of {name}", host(y)
            if y.requires_grad:  # no gradient before a fixed kernel
                y.retain_grad()
                outputs[name] = y
        loss = self._loss(y, labels)
        yield "the loss", host(loss)
        self._backward(loss)
        for name, output in reversed(outputs.items()):
            if output.grad is not None:
                yield f"the gradient of the output of {name}", host(output.grad)
            for own, parameter in self.named.items():
                if own.startswith(f"{name}.") and parameter.grad is not None:
                    yield f"the gradient of {own}", host(parameter.grad)

    @torch.no_grad()
    def logits(self, images: Array) -> Array:
        return host(self.model.eval()(self._tensor(images)))

    def loss(self, scores: Array, labels: Array) -> float:
        return float(host(self._loss(self._tensor(scores), labels)))

    def probabilities(self, scores: Array) -> Array:
        return host(F.softmax(self._tensor(scores), dim=1))

    def parameters(self) -> dict[str, Array]:
        return {name: host(parameter) for name, parameter in self.named.items()}

    def optimizer_state(self) -> dict[str, Array]:
        state = self.optimizer.state
        return {
            f"{name}.{key}": host(value)
            for name, parameter in self.named.items()
            for key, value in state.get(parameter, {}).items()
            if torch.is_tensor(value)
        }

    def _in_training(self, masks: Masks) -> SimpleCNN:
        for name, module in self.model.named_modules():
            if isinstance(module, Dropout):
                module.mask = self._tensor(masks[name]) if name in masks else None
        return self.model.train()

    def _backward(self, loss: torch.Tensor) -> None:
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it without annotations

    def _step(self, lr: float) -> None:
        if self.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(self.named.values(), self.clip_norm)
        if self.clip_value is not None:
            torch.nn.utils.clip_grad_value_(self.named.values(), self.clip_value)
        self.optimizer.param_groups[0]["lr"] = lr
        self.optimizer.step()

    def _loss(self, scores: torch.Tensor, labels: Array, reduction: str = "mean") -> torch.Tensor:
        if self.model.architecture.loss == "mse":
            targets = F.one_hot(self._tensor(labels), scores.shape[1]).to(scores.dtype)
            return F.mse_loss(scores, targets, reduction=reduction)
        return F.cross_entropy(scores, self._tensor(labels), reduction=reduction)

    def _tensor(self, array: Array) -> torch.Tensor:
        return devices.tensor(array, self.device)
