"""What predicts: a plain torch module of an embedder and a classifier, which needs no Lightning."""

from typing import Any

import torch
from hydra.errors import InstantiationException
from hydra.utils import instantiate
from torch import Tensor, nn
from torch.nn.functional import normalize

from fer_lightning.errors import UserError
from fer_lightning.models.classifiers import Classifier

Config = dict[str, Any]  # what hydra.utils.instantiate takes: _target_ and its arguments, plain values alone


class Network(nn.Module):
    """Embedder and classifier.

    Args:
        embedder: Configuration of a network (B, 1, H, W) float32 in [-1, 1] -> (B, D) unit vectors.
        classifier: Configuration of a ``Classifier``.
        mirrored: Whether validation, test and everything after them embed a face as the mean of the vectors of its
            picture and of its mirror image, at norm 1.
    """

    def __init__(self, embedder: Config, classifier: Config, mirrored: bool) -> None:
        super().__init__()
        # A training step on the CPU is 1.2 to 1.8 times faster on channels-last weights (benchmarks/train_step.py).
        self.embedder = build("embedder", embedder).to(memory_format=torch.channels_last)
        self.classifier: Classifier = build("classifier", classifier)
        self.mirrored = mirrored

    def forward(self, images: Tensor) -> Tensor:
        """Return (B, D) unit vectors, float32 at least, for images (B, 1, H, W) float32 in [-1, 1]."""
        embeddings = self.embed(images)
        if self.mirrored and not self.training:
            embeddings = normalize(embeddings + self.embed(images.flip(3)), dim=1)
        return embeddings

    def embed(self, images: Tensor) -> Tensor:
        """Return what ``forward`` does, of the pictures alone."""
        embeddings = self.embedder(images.contiguous(memory_format=torch.channels_last))
        return embeddings.to(torch.promote_types(embeddings.dtype, torch.float32))


def build(node: str, config: Config) -> Any:
    """Return what the configuration of a node names.

    Raises:
        UserError: Naming the node, if an argument is refused.
    """
    try:
        return instantiate(config, _convert_="all")
    except InstantiationException as error:  # what it wraps says more
        cause = error.__cause__ or error
        if isinstance(cause, TypeError | ValueError):
            raise UserError(f"{node}: {cause}") from cause
        raise cause from cause.__cause__
