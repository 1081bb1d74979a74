"""Pixels -> the numbers that a network takes; the one place that says which."""

from torch import Tensor


def scale(pixels: Tensor) -> Tensor:
    """Return images (B, 1, H, W) float32 in [-1, 1] of pixels (B, H, W) uint8."""
    return pixels.unsqueeze(1).float().div(127.5).sub(1)
