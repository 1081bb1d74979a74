"""Embedders: the paper's network and the networks of timm."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from fer_lightning.errors import UserError
from fer_lightning.kinds import AnyText, Count, Dimension, PartShare, Positive, SixteenPixels, Stages, Text, Width


def convolution(channels: int, width: int, kernel_size: int, stride: int = 1, padding: int = 0) -> nn.Sequential:
    """Return convolution, batch norm and ReLU, in the order of Inception-v2 and of the paper's section 2."""
    convolved = nn.Conv2d(channels, width, kernel_size, stride, padding, bias=False)  # batch norm has the bias
    return nn.Sequential(convolved, nn.BatchNorm2d(width), nn.ReLU(inplace=True))


def unit_vectors(head: nn.Module, features: Tensor) -> Tensor:
    """Return the head's vectors (B, D) for features (B, ...), at Euclidean norm 1, float32 or float64.

    Under mixed precision the head computes in the precision of its weights: bfloat16 is too coarse to tell the nearest
    neighbours of a face apart.
    """
    dtype = next(head.parameters()).dtype
    with torch.autocast(features.device.type, enabled=False):
        vectors = head(features.to(dtype))
    return normalize(vectors.to(torch.promote_types(dtype, torch.float32)), dim=1)


class Inception(nn.Module):
    """Inception module: parallel 1 x 1, 3 x 3, 5 x 5 and pool branches, concatenated (arXiv:1409.4842, figure 2b).

    Args:
        in_channels: Channels of the input map.
        widths: Output channels of 1 x 1, 3 x 3 reduce, 3 x 3, 5 x 5 reduce, 5 x 5 and pool projection (the order of
            that paper's table 1).
    """

    def __init__(self, in_channels: int, widths: Sequence[int]) -> None:
        super().__init__()
        width_1, reduce_3, width_3, reduce_5, width_5, width_pool = widths
        self.out_channels = width_1 + width_3 + width_5 + width_pool
        self.branches = nn.ModuleList(
            [
                convolution(in_channels, width_1, 1),
                nn.Sequential(convolution(in_channels, reduce_3, 1), convolution(reduce_3, width_3, 3, padding=1)),
                nn.Sequential(convolution(in_channels, reduce_5, 1), convolution(reduce_5, width_5, 5, padding=2)),
                nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1), convolution(in_channels, width_pool, 1)),
            ]
        )

    def forward(self, maps: Tensor) -> Tensor:
        """Return (B, out_channels, H, W) for maps (B, in_channels, H, W)."""
        return torch.cat([branch(maps) for branch in self.branches], dim=1)


class FaceNet(nn.Module):
    """The paper's network: stem, Inception modules, fully connected layers, L2 normalisation (tables 3 and 5).

    Args:
        embedding_size: D, the length of the vector; the paper names 128 and 512.
        image_size: Height and width of the faces, pixels; a multiple of 16.
        stem_channels: Filters of the 7 x 7 convolution; the paper has 64.
        stages: Per stage the widths of its Inception modules (see ``Inception``); a max pool halves
            the map between two stages.
        hidden_size: Width of the fully connected layer before the embedding.
        dropout: Share of that layer's inputs that are zeroed while training.
        initial_scale: Factor to torch's initial weights. Batch norm and the last normalisation divide it out of what
            the network computes, but a step of a given rate turns smaller weights further (arXiv:1812.03981).
    """

    def __init__(
        self,
        embedding_size: Dimension,
        image_size: SixteenPixels,
        stem_channels: Width,
        stages: Stages,
        hidden_size: Width,
        dropout: PartShare,
        initial_scale: Positive,
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
        with torch.no_grad():
            for layer in self.modules():
                if isinstance(layer, nn.Conv2d | nn.Linear):
                    for parameter in layer.parameters():
                        parameter.mul_(initial_scale)

    def forward(self, images: Tensor) -> Tensor:
        """Return (B, D) unit vectors for images (B, 1, H, W) float32 in [-1, 1], H and W equal to ``image_size``.

        Raises:
            ValueError: If the shape is wrong.
        """
        if images.shape[1:] != (1, self.image_size, self.image_size):
            raise ValueError(f"images are {tuple(images.shape)}, not (B, 1, {self.image_size}, {self.image_size})")
        return unit_vectors(self.head, self.features(images))


class TimmEmbedder(nn.Module):
    """A timm backbone with an embedding layer and L2 normalisation.

    Args:
        model_name: A name that ``timm.create_model`` knows.
        embedding_size: D, the length of the vector.
        image_size: Height and width of the faces, pixels.
        pretrained: Whether to load timm's weights from its hub.
        checkpoint_path: Local file of weights, or "".
        dropout: Share of the backbone's pooled features that are zeroed while training; some models take only 0.

    Raises:
        UserError: If timm does not know the model, cannot get its weights, or the model does not fit the faces.
    """

    def __init__(
        self,
        model_name: Text,
        embedding_size: Dimension,
        image_size: Count,
        pretrained: bool,
        checkpoint_path: AnyText,
        dropout: PartShare,
    ) -> None:
        super().__init__()
        import timm  # slow to import

        if not timm.is_model(model_name):
            close = ", ".join(timm.list_models(f"*{model_name[:6]}*")[:5]) or "resnet10t"
            raise UserError(f"embedder.model_name={model_name} is unknown to timm: try {close}")
        try:
            self.backbone = timm.create_model(
                model_name,
                pretrained=pretrained,
                checkpoint_path=checkpoint_path,
                in_chans=1,
                num_classes=0,
                drop_rate=dropout or None,  # not every model takes it, and timm drops None
            )
        except (OSError, RuntimeError) as error:
            raise UserError(
                f"the weights of embedder.model_name={model_name} cannot be loaded ({type(error).__name__}): use "
                "embedder.pretrained=false or give embedder.checkpoint_path"
            ) from error
        faces = torch.zeros(2, 1, image_size, image_size)
        try:
            with torch.no_grad():
                width = self.backbone.eval()(faces).shape[1]  # num_features may differ from the output's width
        except (AssertionError, RuntimeError, ValueError) as error:
            raise UserError(
                f"embedder.model_name={model_name} does not fit {image_size} x {image_size} pixels: try resnet10t, "
                "efficientnet_b0 or convnext_atto"
            ) from error
        self.backbone.train()
        self.head = nn.Linear(width, embedding_size)

    def forward(self, images: Tensor) -> Tensor:
        """Return (B, D) unit vectors for images (B, 1, H, W) float32 in [-1, 1]."""
        return unit_vectors(self.head, self.backbone(images))
