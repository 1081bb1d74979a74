"""Miners that pytorch-metric-learning lacks, with its interface: (embeddings, labels) -> indices of triplets."""

import torch
from pytorch_metric_learning.miners import BaseMiner
from torch import Tensor, nn

from fer_lightning.kinds import Part


def no_miner(embeddings: Tensor, labels: Tensor) -> None:
    """Return None: the loss forms the pairs or triplets of the batch itself."""


class FaceNetMiner(BaseMiner):
    """Semi-hard miner of FaceNet, as in TensorFlow Addons: one triplet per pair of an anchor and a positive.

    The negative is the nearest one that is farther from the anchor than the positive (arXiv:1503.03832, section 3.2).
    If every negative is nearer, it is the farthest one (``tensorflow_addons/losses/triplet.py``,
    ``triplet_semihard_loss``); ``miner=semihard`` has no triplet for such a pair. Of negatives at equal distance it is
    the first in the batch.

    Args:
        distance: Distance of pytorch-metric-learning that grows with dissimilarity.
    """

    def __init__(self, distance: Part[nn.Module]) -> None:
        super().__init__(distance=distance)

    def mine(
        self, embeddings: Tensor, labels: Tensor, ref_emb: Tensor, ref_labels: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the indices (T,) of anchors, positives and negatives.

        T is 0 if no class has two faces, or if all faces have one class.
        """
        distances = self.distance(embeddings, ref_emb)  # (B, R)
        same = labels.unsqueeze(1) == ref_labels.unsqueeze(0)
        positive = same.clone()
        if ref_emb is embeddings:
            positive.fill_diagonal_(False)
        anchors, positives = torch.where(positive & ~same.all(dim=1, keepdim=True))  # (T,) pairs with a negative
        candidates = distances[anchors]  # (T, R)
        negative = ~same[anchors]
        farther = negative & (candidates > distances[anchors, positives].unsqueeze(1))
        nearest = candidates.masked_fill(~farther, torch.inf).argmin(dim=1)
        farthest = candidates.masked_fill(~negative, -torch.inf).argmax(dim=1)
        return anchors, positives, torch.where(farther.any(dim=1), nearest, farthest)
