"""Stochastic gradient descent with adaptive sharpness-aware steps."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class SharpnessAwareSGD(torch.optim.SGD):
    """SGD whose every ``every``-th step takes the gradient from where the loss is higher (ASAM, arXiv:2102.11600).

    The batch norms collect no statistics there.

    Args:
        params: As in torch.
        rho: Radius in which the loss is raised, relative to the size of each weight.
        every: Number of steps of which one is sharpness-aware.
        settings: Further arguments of ``torch.optim.SGD``.
    """

    network: nn.Module  # whose batch norms are meant; the LightningModule sets it

    def __init__(self, params: Any, rho: float, every: int, **settings: Any) -> None:
        super().__init__(params, **settings)
        self.rho, self.every, self.steps = rho, every, 0

    def step(self, closure: Callable[[], Tensor]) -> Tensor:  # type: ignore[override]
        """Make a step and return the loss before it; ``closure`` computes loss and gradients."""
        self.steps += 1
        with torch.enable_grad():
            loss = closure()
        if self.steps % self.every == 0:
            weights = [tensor for group in self.param_groups for tensor in group["params"] if tensor.grad is not None]
            before = [tensor.detach().clone() for tensor in weights]
            self._climb(weights)
            norms = [module for module in self.network.modules() if isinstance(module, _BatchNorm)]
            statistics = [(norm.running_mean, norm.running_var, norm.num_batches_tracked) for norm in norms]
            for norm in norms:
                norm.running_mean = norm.running_var = None
                norm.track_running_stats = False
            with torch.enable_grad():
                closure()
            for norm, values in zip(norms, statistics, strict=True):
                norm.running_mean, norm.running_var, norm.num_batches_tracked = values
                norm.track_running_stats = True
            with torch.no_grad():
                for tensor, value in zip(weights, before, strict=True):
                    tensor.copy_(value)
        super().step()
        return loss

    @torch.no_grad()
    def _climb(self, weights: list[Tensor]) -> None:
        """Move the weights along the gradient; those of convolutions and layers in proportion to their sizes."""
        sizes = [tensor.abs() if tensor.ndim > 1 else torch.ones_like(tensor) for tensor in weights]
        scaled = [size * tensor.grad for size, tensor in zip(sizes, weights, strict=True) if tensor.grad is not None]
        length = torch.stack([tensor.norm() for tensor in scaled]).norm() + 1e-12
        for tensor, size, direction in zip(weights, sizes, scaled, strict=True):
            tensor.add_(size * direction * (self.rho / length))
