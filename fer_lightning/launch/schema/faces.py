"""Nodes that say where faces come from and what becomes of them: data, sampler, augmentation, protocol."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from fer_lightning.errors import UserError
from fer_lightning.kinds import (
    Choice,
    ClassesOfABatch,
    Count,
    CountOrNone,
    Counts,
    InnerShare,
    LibraryNode,
    Names,
    Node,
    Nullable,
    Other,
    Partial,
    Pixels,
    Place,
    PositiveSpan,
    Says,
    Seed,
    Share,
    Span,
    Switch,
    optional,
    partial,
    target,
)

ROOM = 2**30  # bytes of synthetic faces, at most: a checkpoint of somebody's may ask for them too

Batch = Annotated[int, Field(ge=2), Says("a whole number, 2 or more", "16")]
Source = Annotated[str, Field(min_length=1), Says("a folder, .zip or .csv of faces, or kaggle", "faces.zip")]
Faces = Annotated[int, Field(ge=100), Says("a whole number, 100 or more", "2800")]
Workers = Annotated[int, Field(ge=0, le=256), Says("a whole number, 0 or more and at most 256", "2")]
Seconds = Annotated[float, Field(ge=0), Says("a number of seconds, 0 or more", "300")]
Copies = Annotated[int, Field(ge=1, le=100), Says("a whole number from 1 to 100", "2")]
Folds = Annotated[int, Field(ge=2), Says("a whole number, 2 or more", "5")]


class Drawn(Node):
    """The faces that the project draws itself."""

    count: Faces = Field(description="number of synthetic faces")
    wrong_label_share: Share = Field(description="share of them with a wrong label, on purpose")
    seed: Seed = Field(description="decides which faces are drawn")


class FacesDataModule(Node):
    """Faces of one source, and the batches that are made of them."""

    target_: Literal["fer_lightning.data.datamodule.FacesDataModule"] = target()
    root: Nullable[Source] = Field(description="folder, .zip or .csv of faces; kaggle downloads; null draws faces")
    cache_dir: Place = Field(description="folder for faces that were read once")
    classes: Names = Field(description="names of the classes, in the order of the labels")
    votes: Nullable[Place] = Field(description="FER+'s file of votes, the labels of fer2013.csv; null: its own labels")
    image_size: Pixels = Field(description="height and width of the faces, pixels")
    drawn: Drawn = Field(description="the faces that are drawn where data.root is null")
    protocol: Other = Field(description="the node protocol")
    augmentation: Other = Field(description="the node augmentation")
    batch_size: Batch = Field(description="training pictures in a batch, of all devices together")
    sampler: Other = Field(description="the node sampler")
    eval_batch_size: Count = Field(description="faces in a batch that is only looked at; changes speed, no score")
    num_workers: Workers = Field(description="processes that prepare training batches; 0: the training's own")
    worker_timeout: Seconds = Field(description="seconds without a batch after which those processes count as hung")

    @model_validator(mode="after")
    def check_memory(self) -> Self:
        """Refuse synthetic faces that would fill the memory."""
        most = ROOM // self.image_size**2
        if self.root is None and self.drawn.count > most:
            raise UserError(
                f"data.drawn.count={self.drawn.count} must be at most {most} with data.image_size={self.image_size}, "
                f"such as 2800: more than {ROOM / 2**30:.0f} GiB of faces are not drawn"
            )
        return self


class ClassSampler(Node):
    """Batches of so many classes, with the same number of faces of each."""

    target_: Literal["fer_lightning.data.samplers.ClassSampler"] = target()
    partial_: Partial = partial()
    batch_size: Batch = Field(description="that of data")
    classes_per_batch: ClassesOfABatch = Field(description="classes in a batch")
    seed: Seed = Field(description="decides the order, with the epoch")

    @model_validator(mode="after")
    def check_shape(self) -> Self:
        """Refuse a batch that is not classes x faces."""
        classes = self.classes_per_batch
        if self.batch_size % classes or self.batch_size < 2 * classes:
            raise UserError(
                f"data.batch_size={self.batch_size} must be a multiple of sampler.classes_per_batch={classes}, with "
                f"two or more faces of each class, such as {max(2, round(self.batch_size / classes)) * classes}"
            )
        return self


class NaturalSampler(Node):
    """Every face once an epoch, classes as often as they are."""

    target_: Literal["fer_lightning.data.samplers.NaturalSampler"] = target()
    partial_: Partial = partial()
    batch_size: Batch = Field(description="that of data")
    seed: Seed = Field(description="decides the order, with the epoch")


Sampler = Choice[ClassSampler | NaturalSampler]

Border = Annotated[int, Field(ge=0, le=4), Says("a border of OpenCV's, a whole number from 0 to 4", "1")]
Sides = Annotated[list[Pixels], Field(min_length=2, max_length=2), Says("height and width, pixels", "[48,48]")]
Shift = Annotated[dict[Literal["x", "y"], Span], Says("a span of pixels for x and y", "{x:[-4,4],y:[-4,4]}")]
Fill = Annotated[float | Literal["random", "random_uniform"], Says("a grey, random or random_uniform", "127")]


class Transform(LibraryNode):
    """A transform of albumentations, which checks its arguments once more."""

    p: Share = optional("share of the pictures that it changes")


class Affine(Transform):
    """Moves, turns and scales a face."""

    target_: Literal["albumentations.Affine"] = target()
    rotate: Span = optional("least and greatest angle, degrees")
    scale: PositiveSpan = optional("least and greatest scale")
    translate_px: Shift = optional("least and greatest shift along x and y, pixels")
    border_mode: Border = optional("what fills the border: 1 repeats it (OpenCV)")


class Rotate(Transform):
    """Turns a face about its centre."""

    target_: Literal["albumentations.Rotate"] = target()
    limit: Span = optional("least and greatest angle, degrees")
    border_mode: Border = optional("what fills the border: 1 repeats it (OpenCV)")


class RandomResizedCrop(Transform):
    """Cuts a part out of a face, at the size of the whole."""

    target_: Literal["albumentations.RandomResizedCrop"] = target()
    size: Sides = optional("height and width of what comes out, pixels")
    scale: PositiveSpan = optional("least and greatest share of the area")
    ratio: PositiveSpan = optional("least and greatest width to height")


class CoarseDropout(Transform):
    """Covers patches of a face."""

    target_: Literal["albumentations.CoarseDropout"] = target()
    num_holes_range: Counts = optional("least and greatest number of patches")
    hole_height_range: PositiveSpan = optional("least and greatest height, of the side")
    hole_width_range: PositiveSpan = optional("least and greatest width, of the side")
    fill: Fill = optional("the grey of a patch")


class HorizontalFlip(Transform):
    """Mirrors a face."""

    target_: Literal["albumentations.HorizontalFlip"] = target()


Transforms = list[Choice[Affine | Rotate | RandomResizedCrop | CoarseDropout | HorizontalFlip]]


class Augmentation(Node):
    """What training sees of a face."""

    target_: Literal["fer_lightning.data.augmentation.Augmentation"] = target()
    transforms: Transforms = Field(description="what changes a face, in this order")
    copies: Copies = Field(description="pictures of each face in an epoch")
    keep_original: Switch = Field(description="whether the first of them is the face as it is")
    online: Switch = Field(description="whether they are drawn anew each epoch")
    seed: Seed = Field(description="decides every picture")


class Chain(Node):
    """Transforms of one kind of picture in the paper's protocol."""

    target_: Literal["fer_lightning.data.augmentation.Chain"] = target()
    transforms: Transforms = Field(description="what changes a face, in this order")
    seed: Seed = Field(description="decides every picture")


class Protocol(Node):
    """Which faces train, choose the checkpoint and are reported on."""

    partial_: Partial = partial()


class WholeProtocol(Protocol):
    """A protocol that takes the archive's parts as they are."""

    target_: Literal["fer_lightning.data.protocols.folder", "fer_lightning.data.protocols.official"] = target()


class CutProtocol(Protocol):
    """A protocol that cuts its validation faces from those of the training folder."""

    target_: Literal[
        "fer_lightning.data.protocols.honest",
        "fer_lightning.data.protocols.leaky_gallery",
        "fer_lightning.data.protocols.leaky_report",
    ] = target()
    validation_share: InnerShare = Field(description="share of the training faces that chooses the checkpoint")
    seed: Seed = Field(description="decides the cut")


class FoldProtocol(Protocol):
    """Folds of all faces, one of which is reported on."""

    target_: Literal["fer_lightning.data.protocols.kfold"] = target()
    folds: Folds = Field(description="number of folds")
    fold: CountOrNone = Field(description="number of the fold that is reported on, from 0")
    validation_share: InnerShare = Field(description="share of the other folds that chooses the checkpoint")
    seed: Seed = Field(description="decides the folds")

    @model_validator(mode="after")
    def check_fold(self) -> Self:
        """Refuse a fold that is not there."""
        if self.fold >= self.folds:
            raise UserError(
                f"protocol.fold={self.fold} must be a number from 0 to {self.folds - 1}, such as 0: "
                f"protocol.folds={self.folds}"
            )
        return self


class PaperProtocol(Protocol):
    """The paper's table 2: pictures first, then the split."""

    target_: Literal["fer_lightning.data.protocols.paper"] = target()
    pictures: dict[str, Choice[Chain]] = Field(
        max_length=20, description="pictures that are made of each face beside itself"
    )
    test_share: InnerShare = Field(description="share of each class's pictures that is held out")
    seed: Seed = Field(description="decides pictures and split")


ProtocolChoice = Choice[WholeProtocol | CutProtocol | FoldProtocol | PaperProtocol]
