"""Miners beside those of pytorch-metric-learning."""

from torch import Tensor


def no_miner(embeddings: Tensor, labels: Tensor) -> None:
    """Choose nothing: the loss forms the pairs or triplets of the batch itself."""
