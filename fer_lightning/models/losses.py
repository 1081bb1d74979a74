"""Losses that pytorch-metric-learning lacks, with its interface: (embeddings, labels, mined) -> number."""

from collections.abc import Mapping
from typing import Any

import torch
from pytorch_metric_learning.losses import NormalizedSoftmaxLoss
from pytorch_metric_learning.losses.base_metric_loss_function import BaseMetricLossFunction
from pytorch_metric_learning.reducers import MeanReducer
from pytorch_metric_learning.utils.loss_and_miner_utils import convert_to_weights  # version 3: utils.indexing
from torch import Tensor, nn

from fer_lightning.kinds import ClassCount, Count, NotNegative, Part, PartShare, Positive


class TripletCenterLoss(BaseMetricLossFunction):
    """Triplet loss of a face, the learnt centre of its class and the centre of each other class.

    loss = mean over faces and other classes of max(0, d(face, centre of its class) - d(face, centre of another) +
    margin). He et al., arXiv:1803.06189, equation 5, take only the nearest other centre. The centres are weights of
    the loss. They start orthogonal and are normalised to norm 1.

    Args:
        num_classes: C.
        embedding_size: D, at least C.
        margin: In the unit of ``distance``.
        distance: Distance of pytorch-metric-learning that grows with dissimilarity.
    """

    def __init__(
        self, num_classes: ClassCount, embedding_size: Count, margin: NotNegative, distance: Part[nn.Module]
    ) -> None:
        super().__init__(distance=distance)
        self.margin = margin
        self.centers = nn.Parameter(nn.init.orthogonal_(torch.empty(num_classes, embedding_size)))

    def compute_loss(
        self, embeddings: Tensor, labels: Tensor, indices_tuple: tuple | None, ref_emb: Tensor, ref_labels: Tensor
    ) -> Mapping[str, Mapping]:
        """Return the losses (B,) of the faces, weighted by how often the miner chose each face."""
        centers = nn.functional.normalize(self.centers, dim=1)  # (C, D)
        distances = self.distance(embeddings, centers)  # (B, C)
        positives = distances.gather(1, labels.unsqueeze(1))  # (B, 1)
        violations = (positives - distances + self.margin).relu()  # (B, C)
        negative = torch.ones_like(violations).scatter(1, labels.unsqueeze(1), 0)  # 0 for the class of the face
        losses = (violations * negative).sum(dim=1) / (len(centers) - 1)  # (B,)
        weights = convert_to_weights(indices_tuple, labels, dtype=losses.dtype)
        indices = torch.arange(len(labels), device=labels.device)
        return {"loss": {"losses": losses * weights, "indices": indices, "reduction_type": "element"}}

    def get_default_reducer(self) -> nn.Module:
        """Return the mean over all faces, with those of loss 0."""
        return MeanReducer()


class SmoothedSoftmaxLoss(NormalizedSoftmaxLoss):
    """Normalised softmax loss of the library, with smoothed labels (arXiv:1512.00567, section 7).

    Args:
        num_classes: C.
        embedding_size: D.
        temperature: Divisor of the cosines.
        distance: Similarity of pytorch-metric-learning.
        label_smoothing: Share of the target that is spread over all classes.
    """

    def __init__(
        self,
        num_classes: ClassCount,
        embedding_size: Count,
        temperature: Positive,
        distance: Part[nn.Module],
        label_smoothing: PartShare,
    ) -> None:
        super().__init__(
            num_classes=num_classes, embedding_size=embedding_size, temperature=temperature, distance=distance
        )
        self.cross_entropy = nn.CrossEntropyLoss(reduction="none", label_smoothing=label_smoothing)

    def forward(self, embeddings: Tensor, labels: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        """Return the mean loss; labels are (B,) classes, or (B, C) shares of the classes, which the library lacks."""
        if labels.ndim == 1:
            return super().forward(embeddings, labels, *args, **kwargs)
        return self.cross_entropy(self.get_logits(embeddings), labels).mean()
