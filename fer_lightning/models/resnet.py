"""Embedder for faces of 48 pixels: a 3 x 3 stem of stride 1, few stages, the mean over the last map.

Networks for ImageNet reduce the resolution in their first two layers. A face of 48 pixels needs it for eyebrows and
lips.
"""

from torch import Tensor, nn

from fer_lightning.kinds import Blocks, Dimension, PartShare, Width, Widths
from fer_lightning.models.embedders import convolution, unit_vectors


class ResidualBlock(nn.Module):
    """Residual block: two 3 x 3 convolutions and an identity shortcut (arXiv:1512.03385, figure 2).

    Args:
        channels: Channels of the input and output maps.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.block = nn.Sequential(
            convolution(channels, channels, 3, padding=1),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            nn.BatchNorm2d(channels),
        )
        self.activation = nn.ReLU(inplace=True)

    def forward(self, maps: Tensor) -> Tensor:
        """Return maps (B, channels, H, W) for maps of the same shape."""
        return self.activation(maps + self.block(maps))


class ResNet48(nn.Module):
    """Residual network: stem, stages that halve the map, mean over the map, embedding layer, L2 normalisation.

    Args:
        embedding_size: D, length of the vector.
        stem_channels: Filters of the 3 x 3 convolution of stride 1.
        widths: Channels of each stage, which begins with a 3 x 3 convolution of stride 2.
        blocks: Number of residual blocks of each stage.
        dropout: Share of the mean's channels that are zeroed while training.
    """

    def __init__(
        self, embedding_size: Dimension, stem_channels: Width, widths: Widths, blocks: Blocks, dropout: PartShare
    ) -> None:
        super().__init__()
        layers: list[nn.Module] = [convolution(1, stem_channels, 3, padding=1)]
        channels = stem_channels
        for width, count in zip(widths, blocks, strict=True):
            layers.append(convolution(channels, width, 3, stride=2, padding=1))
            layers.extend(ResidualBlock(width) for _ in range(count))
            channels = width
        self.features = nn.Sequential(*layers)
        embedding = nn.Linear(channels, embedding_size)
        self.head = nn.Sequential(nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Dropout(dropout), embedding)

    def forward(self, images: Tensor) -> Tensor:
        """Return (B, D) unit vectors for images (B, 1, H, W) float32 in [-1, 1]."""
        return unit_vectors(self.head, self.features(images))
