"""Rendering and resizing of training pictures on the device of a training, a batch at a time."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import grid_sample, interpolate

AS_IT_IS = [1.0, 0.0, 0.0, 0.0, 1.0, 0.0]  # each pixel comes from where it is


class Step(NamedTuple):
    """One transform of a picture.

    Attributes:
        patches: Patches that cover the picture, at most; 0 for a transform that moves pixels.
        fill: Grey that comes from outside of the picture; None for that of the nearest pixel.
    """

    patches: int = 0
    fill: float | None = None

    @property
    def size(self) -> int:
        """Numbers of a draw."""
        return 5 * self.patches or len(AS_IT_IS)


def unchanged(steps: Sequence[Step]) -> list[float]:
    """Return the draw that leaves a picture as it is."""
    return [number for step in steps for number in ([0.0] * step.size if step.patches else AS_IT_IS)]


def render(images: Tensor, numbers: Tensor, steps: Sequence[Step]) -> Tensor:
    """Return the transformed pictures (B, H, W), float32 with whole numbers.

    Args:
        images: (B, H, W) uint8.
        numbers: (B, sum of the steps' sizes) float32. Six numbers say from where a pixel (x, y) comes: (a x + b y + c,
            d x + e y + f). Five say which patch gets which grey: left, top, right, bottom, grey.
        steps: The transforms in order.
    """
    pixels = images.float()
    y, x = (torch.arange(size, device=pixels.device, dtype=torch.float32) for size in pixels.shape[1:])
    x, y = x.view(1, 1, -1), y.view(1, -1, 1)
    for step, drawn in zip(steps, numbers.split([step.size for step in steps], dim=1), strict=True):
        columns = drawn.view(len(drawn), -1, 1, 1).unbind(1)  # each (B, 1, 1)
        if not step.patches:
            pixels = _warp(pixels, columns, x, y, step.fill)
        for at in range(0, 5 * step.patches, 5):
            left, top, right, bottom, grey = columns[at : at + 5]
            pixels = torch.where((x >= left) & (x < right) & (y >= top) & (y < bottom), grey, pixels)
    return pixels


def size_at(sizes: Sequence[int], epoch: int, epochs: int | None) -> int:
    """Return the size of an epoch, where each size lasts an equal part of the epochs; the last one without an end."""
    if epochs is None or epochs < 1:
        return sizes[-1]
    return sizes[min(epoch * len(sizes) // epochs, len(sizes) - 1)]


def resize(images: Tensor, size: int) -> Tensor:
    """Return pictures (B, 1, H, W) as (B, 1, size, size), smoothed where they become smaller."""
    if images.shape[-1] == size:
        return images
    return interpolate(images, size=(size, size), mode="bilinear", align_corners=False, antialias=True)


def _warp(pixels: Tensor, columns: Sequence[Tensor], x: Tensor, y: Tensor, fill: float | None) -> Tensor:
    """Return the pictures whose pixels come from elsewhere, between four pixels by linear interpolation."""
    a, b, c, d, e, f = columns
    height, width = pixels.shape[1:]
    places = (
        torch.stack([(a * x + b * y + c) * (2 / (width - 1)), (d * x + e * y + f) * (2 / (height - 1))], dim=-1) - 1
    )
    border, shift = ("border", 0.0) if fill is None else ("zeros", fill)
    moved = grid_sample((pixels - shift).unsqueeze(1), places, padding_mode=border, align_corners=True)
    return (moved.squeeze(1) + shift).round()
