"""Nodes that say what an embedding is made by and read by: embedder, classifier, model."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from fer_lightning.errors import UserError
from fer_lightning.kinds import (
    AnyText,
    Choice,
    Classes,
    Count,
    Metric,
    Names,
    Node,
    NotNegative,
    Nullable,
    Other,
    PartShare,
    Positive,
    Says,
    Share,
    SixteenPixels,
    Switch,
    Text,
    Width,
    Widths,
    exactly,
    target,
)

MOST_WEIGHTS = 2**29

Dimension = Annotated[int, Field(ge=1, le=16384), Says("a whole number from 1 to 16384", "128")]
Inception = Annotated[list[Width], Field(min_length=6, max_length=6)]
Stages = Annotated[
    list[Annotated[list[Inception], Field(min_length=1, max_length=16)]],
    Field(min_length=1),
    Says("a list of stages, each a list of modules of six widths from 1 to 4096", "[[[32,32,48,8,16,16]]]"),
]
Blocks = Annotated[
    list[Annotated[int, Field(ge=1, le=100)]],
    Field(min_length=1),
    Says("a list of whole numbers from 1 to 100", "[1,1,1]"),
]


class Embedder(Node):
    """A network from faces to unit vectors."""

    embedding_size: Dimension = Field(description="length of the vector of a face")
    dropout: PartShare = Field(description="share of the last layer's inputs that training leaves out")


class FaceNet(Embedder):
    """The paper's network: a stem, Inception modules, one hidden layer."""

    target_: Literal["fer_lightning.models.embedders.FaceNet"] = target()
    image_size: SixteenPixels = Field(description="that of data, a multiple of 16")
    stem_channels: Width = Field(description="filters of the first convolution")
    stages: Stages = Field(description="widths of the Inception modules, stage by stage")
    hidden_size: Width = Field(description="width of the layer before the embedding")
    initial_scale: Positive = Field(description="factor to the initial weights of torch")

    @model_validator(mode="after")
    def check_stages(self) -> Self:
        """Refuse too many weights: those of 5 x 5 convolutions, were every width of a module its greatest."""
        _check_weights("stages", sum(25 * max(module) ** 2 for stage in self.stages for module in stage))
        return self


class ResNet48(Embedder):
    """A residual network for small faces."""

    target_: Literal["fer_lightning.models.resnet.ResNet48"] = target()
    stem_channels: Width = Field(description="filters of the first convolution")
    widths: Widths = Field(description="channels of each stage")
    blocks: Blocks = Field(description="residual blocks of each stage")

    @model_validator(mode="after")
    def check_stages(self) -> Self:
        """Refuse lists that describe different numbers of stages, or too many weights."""
        _check_stages("blocks", self.widths, self.blocks)
        return self


class VGG48(Embedder):
    """Stages of plain convolutions."""

    target_: Literal["fer_lightning.models.resnet.VGG48"] = target()
    widths: Widths = Field(description="channels of each stage")
    convolutions: Blocks = Field(description="convolutions of each stage")

    @model_validator(mode="after")
    def check_stages(self) -> Self:
        """Refuse lists that describe different numbers of stages, or too many weights."""
        _check_stages("convolutions", self.widths, self.convolutions)
        return self


class TimmEmbedder(Embedder):
    """A network of timm."""

    target_: Literal["fer_lightning.models.embedders.TimmEmbedder"] = target()
    model_name: Text = Field(description="name of a timm model that fits the faces")
    image_size: Count = Field(description="that of data")
    pretrained: Switch = Field(description="whether to begin with weights from the hub")
    checkpoint_path: AnyText = Field(description="local file of weights to begin with; empty for none")


def _check_stages(name: str, widths: list[int], numbers: list[int]) -> None:
    """Look at the stages of a network of 3 x 3 convolutions: ``numbers`` of each width, given as embedder.``name``."""
    if len(widths) != len(numbers):
        raise UserError(
            f"embedder.{name} must be a list of {len(widths)} numbers, as long as embedder.widths, such as "
            f"[{','.join(['1'] * len(widths))}]; it has {len(numbers)}"
        )
    _check_weights("widths", sum(9 * width**2 * number for width, number in zip(widths, numbers, strict=True)))


def _check_weights(name: str, weights: int) -> None:
    """Refuse a network that a machine could not hold; a checkpoint of somebody's may ask for it too."""
    if weights > MOST_WEIGHTS:
        raise UserError(
            f"embedder.{name} must be narrower or fewer, such as those in conf/embedder: they make {weights:,} "
            f"weights, and {MOST_WEIGHTS:,} are the most"
        )


EmbedderChoice = Choice[FaceNet | ResNet48 | VGG48 | TimmEmbedder]


class Classifier(Node):
    """What finds the class of an embedding."""

    num_classes: Classes = Field(description="number of classes")
    embedding_size: Dimension = Field(description="that of the embedder")


class KNNClassifier(Classifier):
    """A vote of the nearest training faces."""

    target_: Literal["fer_lightning.models.knn.KNNClassifier"] = target()
    k: Nullable[Count] = Field(description="faces that vote; null: the best candidate at a validation")
    candidates: Annotated[list[Count], Says("a list of whole numbers, 1 or more", "[5,15]")] = Field(
        description="numbers of voters that each validation tries"
    )
    weights: Annotated[Literal["similarity", "uniform"], Says()] = Field(description="what a vote counts")
    temperature: Positive = Field(description="how slowly a vote loses weight with distance")

    @model_validator(mode="after")
    def check_candidates(self) -> Self:
        """Refuse a k that is open and has nothing to be chosen from."""
        if self.k is None and not self.candidates:
            raise UserError(
                "classifier.candidates=[] must be a list of numbers, such as [5,15], where classifier.k=null"
            )
        return self


class LinearClassifier(Classifier):
    """Logistic regression."""

    target_: Literal["fer_lightning.models.linear_classifiers.LinearClassifier"] = target()
    inverse_regularization: Positive = Field(description="scikit-learn's C: the smaller, the smaller the weights")
    max_iter: Count = Field(description="steps of its solver, at most")


class PrototypeClassifier(Classifier):
    """The class with the nearest mean."""

    target_: Literal["fer_lightning.models.linear_classifiers.PrototypeClassifier"] = target()
    temperature: Positive = Field(description="how soft the votes are")


ClassifierChoice = Choice[KNNClassifier | LinearClassifier | PrototypeClassifier]


class Abstention(Node):
    """When a trained network would rather not say."""

    accuracy: Nullable[Share] = Field(description="accuracy of the faces that are answered, at least; null: all are")
    near: Share = Field(description="share of the validation faces that count as near enough to the training faces")


class ExpressionModule(Node):
    """The wiring of what trains."""

    target_: Literal["fer_lightning.models.module.ExpressionModule"] = target()
    recursive_: Annotated[bool, exactly(False), Says("false")] = Field(
        alias="_recursive_", description="the module makes its parts"
    )
    convert_: Annotated[Literal["all"], Says()] = Field(alias="_convert_", description="it is given plain values")
    embedder: Other = Field(description="the node embedder")
    classifier: Other = Field(description="the node classifier")
    classes: Names = Field(description="the names data.classes")
    loss: Other = Field(description="the node loss")
    miner: Other = Field(description="the node miner")
    optimizer: Other = Field(description="the node optimizer")
    scheduler: Other = Field(description="the node scheduler")
    triplet_margin: NotNegative = Field(description="squared distance by which telemetry wants negatives to be farther")
    objective: Metric = Field(description="the option objective")
    abstention: Abstention = Field(description="from which faces a trained network abstains")
    mirrored: Switch = Field(description="whether a face is judged together with its mirror image")


ModelChoice = Choice[ExpressionModule]
