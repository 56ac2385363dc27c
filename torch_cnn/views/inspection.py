"""Inside the network in PyTorch: feature maps, and the gradient of a score with respect to the picture."""

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  # the name the field uses

from numpy_cnn.common.exhibits.demo.child import serve
from numpy_cnn.common.exhibits.demo.inspector import maps_of
from numpy_cnn.common.spec.architecture import Architecture
from numpy_cnn.common.spec.backend import Array
from torch_cnn.model import SimpleCNN


class Inspector:
    """`numpy_cnn.common.exhibits.demo.inspector.Inspector` in PyTorch."""

    def __init__(self, architecture: Architecture, parameters: dict[str, Array]) -> None:
        self.model = SimpleCNN(architecture, parameters=parameters).requires_grad_(False)
        self.maps = maps_of(architecture)

    def look(self, image: Array, digit: int | None = None) -> dict[str, Array]:
        x = picture = torch.from_numpy(np.array(image, order="C")).requires_grad_()
        seen: dict[str, Array] = {}
        for name, layer in self.model.named_children():
            x = layer(x)
            if name in self.maps:
                seen[name] = x[0].detach().numpy()
        chosen = int(x[0].argmax()) if digit is None else digit
        (gradient,) = torch.autograd.grad(x[0, chosen], picture)
        return seen | {
            "scores": x[0].detach().numpy(),
            "probabilities": F.softmax(x.detach(), dim=1)[0].numpy(),
            "saliency": gradient[0].numpy(),
            "digit": np.array([chosen]),
        }


if __name__ == "__main__":
    serve(Inspector)
