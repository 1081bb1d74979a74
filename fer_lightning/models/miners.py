"""Miners that pytorch-metric-learning lacks, in its own form: (embeddings, labels) -> anchors, positives, negatives."""

import torch
from pytorch_metric_learning.miners import BaseMiner
from torch import Tensor


def no_miner(embeddings: Tensor, labels: Tensor) -> None:
    """Choose nothing: the loss forms the pairs or triplets of the batch itself."""


class FaceNetMiner(BaseMiner):
    """FaceNet's semi-hard rule with a way out where there is no semi-hard negative, as TensorFlow Addons has it.

    For every pair of an anchor and a positive it takes the nearest negative that is farther from the anchor than the
    positive (arXiv:1503.03832, section 3.2), and where every negative is nearer the farthest one
    (``tensorflow_addons/losses/triplet.py``, ``triplet_semihard_loss``). So each pair gives one triplet, those in the
    wrong order too, which ``miner=semihard`` passes over. Of negatives that are equally far the first in the batch is
    taken.

    Args:
        distance: Distance of pytorch-metric-learning that grows with dissimilarity.
    """

    def mine(
        self, embeddings: Tensor, labels: Tensor, ref_emb: Tensor, ref_labels: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return T indices each of anchors, positives and negatives; T is 0 where no class has two faces or all do."""
        distances = self.distance(embeddings, ref_emb)  # (B, R)
        same = labels.unsqueeze(1) == ref_labels.unsqueeze(0)
        positive = same.clone()
        if ref_emb is embeddings:
            positive.fill_diagonal_(False)
        anchors, positives = torch.where(positive & ~same.all(dim=1, keepdim=True))  # (T,) pairs that have a negative
        candidates = distances[anchors]  # (T, R)
        negative = ~same[anchors]
        farther = negative & (candidates > distances[anchors, positives].unsqueeze(1))
        nearest = candidates.masked_fill(~farther, torch.inf).argmin(dim=1)
        farthest = candidates.masked_fill(~negative, -torch.inf).argmax(dim=1)
        return anchors, positives, torch.where(farther.any(dim=1), nearest, farthest)
