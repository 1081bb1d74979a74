"""Embedders: an image (B, 1, H, W) becomes a unit vector (B, D)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

STRIDE = 16  # pixels of the image behind one pixel of FaceNet's last map


def convolution(in_channels: int, out_channels: int, kernel_size: int, **options: int) -> nn.Sequential:
    """Return convolution, batch norm and ReLU, in the order of the paper's section 2 and Inception-v2."""
    return nn.Sequential(
        nn.Conv2d(in_channels, out_channels, kernel_size, bias=False, **options),  # batch norm brings the bias
        nn.BatchNorm2d(out_channels),
        nn.ReLU(inplace=True),
    )


class Inception(nn.Module):
    """1 x 1, 3 x 3, 5 x 5 and pool branches side by side, concatenated (arXiv:1409.4842, figure 2b).

    Args:
        in_channels: Channels of the map that comes in.
        widths: Output channels of 1 x 1, 3 x 3 reduce, 3 x 3, 5 x 5 reduce, 5 x 5 and pool projection,
            in the order of that paper's table 1.
    """

    def __init__(self, in_channels: int, widths: Sequence[int]) -> None:
        super().__init__()
        one, three_reduce, three, five_reduce, five, pool = widths
        self.out_channels = one + three + five + pool
        self.branches = nn.ModuleList(
            [
                convolution(in_channels, one, 1),
                nn.Sequential(
                    convolution(in_channels, three_reduce, 1),
                    convolution(three_reduce, three, 3, padding=1),
                ),
                nn.Sequential(
                    convolution(in_channels, five_reduce, 1),
                    convolution(five_reduce, five, 5, padding=2),
                ),
                nn.Sequential(
                    nn.MaxPool2d(3, stride=1, padding=1),
                    convolution(in_channels, pool, 1),
                ),
            ]
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Return (B, out_channels, H, W) for maps (B, in_channels, H, W)."""
        return torch.cat([branch(maps) for branch in self.branches], dim=1)


class FaceNet(nn.Module):
    """The paper's network: stem, Inception modules, fully connected layers, L2 normalisation (its tables 3 and 5).

    Args:
        embedding_size: D, the length of the vector; the paper names 128 and 512.
        image_size: Height and width of the faces, pixels; a multiple of 16.
        stem_channels: Filters of the 7 x 7 convolution; the paper has 64.
        stages: Per stage the widths of its Inception modules (see ``Inception``); a max pool halves
            the map between two stages.
        hidden_size: Width of the fully connected layer before the embedding.
        dropout: Share of that layer's inputs that are zeroed while training.
    """

    def __init__(
        self,
        embedding_size: int,
        image_size: int,
        stem_channels: int,
        stages: Sequence[Sequence[Sequence[int]]],
        hidden_size: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.image_size = image_size
        layers: list[nn.Module] = [
            convolution(1, stem_channels, 7, stride=2, padding=3),  # 48 -> 24
            nn.MaxPool2d(3, stride=2, padding=1),  # 24 -> 12
        ]
        channels, side = stem_channels, image_size // 4
        for stage in stages:
            for widths in stage:
                module = Inception(channels, widths)
                layers.append(module)
                channels = module.out_channels
            layers.append(nn.MaxPool2d(3, stride=2, padding=1))
            side = (side + 1) // 2
        self.features = nn.Sequential(*layers)
        self.head = nn.Sequential(
            nn.Flatten(),
            nn.Dropout(dropout),
            nn.Linear(channels * side * side, hidden_size, bias=False),
            nn.BatchNorm1d(hidden_size),
            nn.ReLU(inplace=True),
            nn.Linear(hidden_size, embedding_size),
        )

    def forward(self, images: Tensor) -> Tensor:
        return normalize(self.head(self.features(images)), dim=1)
