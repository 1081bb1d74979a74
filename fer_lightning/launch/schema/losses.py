"""Nodes that say what is learnt from a batch: loss with its distance, miner."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from fer_lightning.errors import UserError
from fer_lightning.kinds import (
    Choice,
    Classes,
    Count,
    LibraryNode,
    Node,
    NotNegative,
    Number,
    Partial,
    PartShare,
    Positive,
    Says,
    Switch,
    optional,
    partial,
    target,
)

Degrees = Annotated[float, Field(ge=0, le=180), Says("a number of degrees from 0 to 180", "28.6")]
Weights = Annotated[list[NotNegative], Says("a list of finite numbers, 0 or more", "[1.0,0.5]")]


class LpDistance(LibraryNode):
    """The Minkowski distance, at a power."""

    target_: Literal["pytorch_metric_learning.distances.LpDistance"] = target()
    p: Positive = optional("the norm: 2 is the Euclidean one")
    power: Positive = optional("exponent of the distance: 2 squares it")
    normalize_embeddings: Switch = optional("whether embeddings are given norm 1 first")


class Similarity(LibraryNode):
    """The cosine or the dot product."""

    target_: Literal[
        "pytorch_metric_learning.distances.CosineSimilarity", "pytorch_metric_learning.distances.DotProductSimilarity"
    ] = target()


Distance = Choice[LpDistance | Similarity]


class Loss(LibraryNode):
    """A loss of pytorch-metric-learning's kind."""

    distance: Distance = optional("how far two embeddings are apart")


class ClassLoss(Loss):
    """A loss with learnt centres of the classes."""

    num_classes: Classes = Field(description="number of classes")
    embedding_size: Count = Field(description="that of the embedder")


class TripletMarginLoss(Loss):
    """Triplets of faces (arXiv:1503.03832)."""

    target_: Literal["pytorch_metric_learning.losses.TripletMarginLoss"] = target()
    margin: NotNegative = optional("by how much a negative is to be farther than the positive")


class TripletCenterLoss(Node):
    """Triplets of a face, its class's learnt centre and each other centre (after arXiv:1803.06189)."""

    target_: Literal["fer_lightning.models.losses.TripletCenterLoss"] = target()
    num_classes: Classes = Field(description="number of classes")
    embedding_size: Count = Field(description="that of the embedder")
    margin: NotNegative = Field(description="by how much another centre is to be farther than the class's own")
    distance: Distance = Field(description="how far two embeddings are apart")


class SoftmaxLoss(ClassLoss):
    """Cross-entropy of cosines with one centre a class (arXiv:1811.12649)."""

    target_: Literal["pytorch_metric_learning.losses.NormalizedSoftmaxLoss"] = target()
    temperature: Positive = optional("divisor of the cosines")


class SmoothedSoftmaxLoss(ClassLoss):
    """The same with smoothed labels (arXiv:1512.00567)."""

    target_: Literal["fer_lightning.models.losses.SmoothedSoftmaxLoss"] = target()
    temperature: Positive = Field(description="divisor of the cosines")
    label_smoothing: PartShare = Field(description="share of the target that is spread over all classes")


class ArcFaceLoss(ClassLoss):
    """Softmax with a margin of the angle (arXiv:1801.07698), with one centre a class or several."""

    target_: Literal[
        "pytorch_metric_learning.losses.ArcFaceLoss", "pytorch_metric_learning.losses.SubCenterArcFaceLoss"
    ] = target()
    margin: Degrees = optional("margin of the angle, degrees")
    scale: Positive = optional("factor to the cosines")
    sub_centers: Count = optional("centres of a class")


class CosFaceLoss(ClassLoss):
    """Softmax with a margin of the cosine (arXiv:1801.09414)."""

    target_: Literal["pytorch_metric_learning.losses.CosFaceLoss"] = target()
    margin: NotNegative = optional("margin of the cosine")
    scale: Positive = optional("factor to the cosines")


class ProxyAnchorLoss(ClassLoss):
    """Proxies of the classes as anchors (arXiv:2003.13911)."""

    target_: Literal["pytorch_metric_learning.losses.ProxyAnchorLoss"] = target()
    margin: NotNegative = optional("margin of the cosine")
    alpha: Positive = optional("factor to the cosines")


class SoftTripleLoss(ClassLoss):
    """A softmax over several centres a class (arXiv:1909.05235)."""

    target_: Literal["pytorch_metric_learning.losses.SoftTripleLoss"] = target()
    centers_per_class: Count = optional("centres of a class")
    la: Positive = optional("factor to the cosines")
    gamma: Positive = optional("how softly the nearest centre is chosen")
    margin: NotNegative = optional("margin of the cosine")


class MultiSimilarityLoss(Loss):
    """Pairs weighted by three similarities (arXiv:1904.06627)."""

    target_: Literal["pytorch_metric_learning.losses.MultiSimilarityLoss"] = target()
    alpha: Positive = optional("weight of the positive pairs")
    beta: Positive = optional("weight of the negative pairs")
    base: Number = optional("similarity that both are measured from")


class SupConLoss(Loss):
    """Supervised contrastive loss (arXiv:2004.11362)."""

    target_: Literal["pytorch_metric_learning.losses.SupConLoss"] = target()
    temperature: Positive = optional("divisor of the cosines")


class Miner(LibraryNode):
    """What chooses triplets or pairs of a batch."""

    distance: Distance = optional("how far two embeddings are apart")


class TripletMarginMiner(Miner):
    """Triplets by how far the negative is."""

    target_: Literal["pytorch_metric_learning.miners.TripletMarginMiner"] = target()
    type_of_triplets: Annotated[Literal["all", "hard", "semihard", "easy"], Says()] = optional("which triplets")
    margin: NotNegative = optional("by how much a negative is to be farther than the positive")


class BatchHardMiner(Miner):
    """The farthest positive and the nearest negative of each face (arXiv:1703.07737)."""

    target_: Literal["pytorch_metric_learning.miners.BatchHardMiner"] = target()


class BatchEasyHardMiner(Miner):
    """One positive and one negative of each face, chosen by two rules (arXiv:1904.04370)."""

    target_: Literal["pytorch_metric_learning.miners.BatchEasyHardMiner"] = target()
    pos_strategy: Annotated[Literal["easy", "semihard", "hard", "all"], Says()] = optional("which positive")
    neg_strategy: Annotated[Literal["easy", "semihard", "hard", "all"], Says()] = optional("which negative")


class MultiSimilarityMiner(Miner):
    """Pairs that are harder than the hardest of the other kind (arXiv:1904.06627)."""

    target_: Literal["pytorch_metric_learning.miners.MultiSimilarityMiner"] = target()
    epsilon: NotNegative = optional("by how much at most a chosen pair may be easier")


class FaceNetMiner(Node):
    """FaceNet's semi-hard triplets, as TensorFlow Addons has them."""

    target_: Literal["fer_lightning.models.miners.FaceNetMiner"] = target()
    distance: Distance = Field(description="how far two embeddings are apart")


class NoMiner(Node):
    """Every pair or triplet goes to the loss."""

    target_: Literal["fer_lightning.models.miners.no_miner"] = target()
    partial_: Partial = partial()


MinerChoice = Choice[
    TripletMarginMiner | BatchHardMiner | BatchEasyHardMiner | MultiSimilarityMiner | FaceNetMiner | NoMiner
]

ONE_LOSS = (
    TripletMarginLoss
    | TripletCenterLoss
    | SoftmaxLoss
    | SmoothedSoftmaxLoss
    | ArcFaceLoss
    | CosFaceLoss
    | ProxyAnchorLoss
    | SoftTripleLoss
    | MultiSimilarityLoss
    | SupConLoss
)


class MultipleLosses(LibraryNode):
    """A weighted sum of losses."""

    target_: Literal["pytorch_metric_learning.losses.MultipleLosses"] = target()
    convert_: Any = Field(default=None, alias="_convert_", description="it asks for plain lists")
    losses: list[Choice[ONE_LOSS]] = Field(description="the losses")
    miners: list[MinerChoice | None] = optional("the miner of each; null for none")
    weights: Weights = optional("the weight of each")

    @model_validator(mode="after")
    def check_lengths(self) -> Self:
        """Refuse weights or miners that are not one for each loss."""
        for name in ("weights", "miners"):
            given = getattr(self, name)
            if given is not None and len(given) != len(self.losses):
                raise UserError(f"loss.{name} must be a list of {len(self.losses)}, one for each of loss.losses")
        return self


LossChoice = Choice[ONE_LOSS | MultipleLosses]
