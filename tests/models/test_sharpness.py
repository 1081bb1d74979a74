"""Sharpness-aware steps: numbers worked out by hand."""

import pytest
import torch

from fer_lightning.models.sharpness import SharpnessAwareSGD


@pytest.mark.parametrize(("every", "expected"), [(1, 1.9), (2, 2.0)])
def test_the_gradient_is_that_of_the_raised_loss(every, expected):
    weight = torch.nn.Parameter(torch.tensor([[4.0]]))
    optimizer = SharpnessAwareSGD([weight], rho=0.05, every=every, lr=0.25)
    optimizer.network = torch.nn.BatchNorm1d(1)

    def closure():
        optimizer.zero_grad()
        loss = (weight**2).sum()  # gradient 2 w: 8 at w = 4; raised by 0.05 x 4 = 0.2 it is 8.4
        loss.backward()
        return loss

    assert optimizer.step(closure).item() == 16.0
    assert weight.item() == pytest.approx(expected)
