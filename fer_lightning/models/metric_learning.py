"""The parts of pytorch-metric-learning that our code builds on, in one place: version 3 moves some of them."""

from pytorch_metric_learning.losses import NormalizedSoftmaxLoss
from pytorch_metric_learning.losses.base_metric_loss_function import BaseMetricLossFunction
from pytorch_metric_learning.miners import BaseMiner
from pytorch_metric_learning.reducers import MeanReducer
from pytorch_metric_learning.utils.loss_and_miner_utils import (  # version 3: utils.indexing
    convert_to_triplets,
    convert_to_weights,
)

__all__ = [
    "BaseMetricLossFunction",
    "BaseMiner",
    "MeanReducer",
    "NormalizedSoftmaxLoss",
    "convert_to_triplets",
    "convert_to_weights",
]
