"""The nodes of what a trained network is used for: detector, gallery, stress; and the commands that use it."""

from typing import Annotated, Any, Literal

from pydantic import Field

from fer_lightning.kinds import (
    Choice,
    Count,
    CountOrNone,
    LibraryNode,
    Node,
    Nullable,
    Partial,
    Place,
    Rate,
    Says,
    Seed,
    Share,
    Switch,
    optional,
    partial,
    target,
)
from fer_lightning.launch.schema.commands import Audit, Eval, Train
from fer_lightning.launch.schema.faces import Source
from fer_lightning.launch.schema.places import Paths

Input = Annotated[
    Annotated[str, Field(min_length=1)] | Annotated[int, Field(ge=0)],
    Says("a picture, folder, .zip or video, or the number of a camera", "faces/"),
]
Port = Annotated[int, Field(ge=0, le=65535), Says("a whole number from 0 to 65535", "7860")]
Grey = Annotated[int, Field(ge=0, le=255), Says("a grey from 0 to 255", "0")]
Margin = Annotated[float, Field(ge=-0.5, le=3), Says("a number from -0.5 to 3", "0.05")]
Strengths = Annotated[
    list[dict[str, Any]],
    Field(min_length=1),
    Says("a list of settings of its transform, the weakest first", "[{sigma_limit:[1,1]},{sigma_limit:[2,2]}]"),
]
Format = Annotated[Literal["bundle", "onnx"], Says()]


class WholePicture(Node):
    """Each picture is one face."""

    target_: Literal["fer_lightning.use.detectors.WholePicture"] = target()


class YuFace(Node):
    """Faces by the package yuface."""

    target_: Literal["fer_lightning.use.detectors.YuFace"] = target()
    margin: Margin = Field(description="share of a box's longer side that is added around it")
    min_confidence: Share = Field(description="confidence of a face, at least")


class YuNet(YuFace):
    """Faces by OpenCV's FaceDetectorYN."""

    target_: Literal["fer_lightning.use.detectors.YuNet"] = target()  # type: ignore[assignment]
    model: Place = Field(description="its model, an .onnx file of OpenCV's zoo")


class FullGallery(Node):
    """Every face of the gallery."""

    target_: Literal["fer_lightning.use.galleries.full"] = target()
    partial_: Partial = partial()


class SmallGallery(Node):
    """Means of the gallery."""

    target_: Literal["fer_lightning.use.galleries.kmeans"] = target()
    partial_: Partial = partial()
    size: Count = Field(description="number of means, about")
    seed: Seed = Field(description="where the clusters begin")


class Cover(LibraryNode):
    """Covers the same part of every picture; some of this is a change's, the rest its strengths'."""

    target_: Literal["fer_lightning.data.augmentation.Cover"] = target()
    left: Share = optional("where the cover begins, of the width")
    right: Share = optional("where it ends")
    top: Share = optional("where it begins, of the height")
    bottom: Share = optional("where it ends")
    fill: Grey = optional("its grey")
    p: Share = optional("share of the pictures that are covered")


class Change(Node):
    """One change of a face."""

    transform: Choice[Cover] = Field(description="what changes it; strengths give the rest of its settings")
    strengths: Strengths = Field(description="settings of each strength, the weakest first")


class Stress(Node):
    """What test faces are changed by."""

    target_: Literal["fer_lightning.use.robustness.Stress"] = target()
    seed: Seed = Field(description="draws what a change leaves open, and the faces under limit=")
    changes: dict[str, Change] = Field(description="changes of a face by their names")


class Pictures(Node):
    """What looks at pictures, and shows the training faces that decided."""

    detector: Choice[WholePicture | YuFace | YuNet] = Field(description="what finds faces in a picture")
    paths: Paths = Field(description="folders")
    faces: Nullable[Source] = Field(description="faces of the training, whose pictures the page shows")


class Predict(Pictures):
    """What ``python -m fer_lightning predict`` takes."""

    checkpoint: Place = Field(description="a .ckpt file, a bundle's folder or an .onnx file")
    input: Input = Field(description="picture, folder, .zip or video, or the number of a camera")
    every: Count = Field(description="of a video or camera every how manieth frame is taken")
    limit: Nullable[Count] = Field(description="pictures that are taken, at most")
    batch_size: Count = Field(description="faces that are computed at once")
    sheet: CountOrNone = Field(description="pictures on the contact sheet and the page, at most")
    neighbours: CountOrNone = Field(description="training faces that decided, of which each row tells")


class App(Pictures):
    """What ``python -m fer_lightning app`` takes."""

    bundle: Place = Field(description="a bundle's folder, an .onnx file or a .ckpt file")
    port: Port = Field(description="where the page is, on this machine alone; 0 for any that is free")
    max_bytes: Count = Field(description="size of a photo's file, at most")
    seconds: Rate = Field(description="how long its upload may take, and then its decoding")
    concurrency: Count = Field(description="photos that are worked on at once")
    neighbours: CountOrNone = Field(description="training faces that decided, of which the page tells")


class Export(Eval):
    """What ``python -m fer_lightning export`` takes."""

    gallery: Choice[FullGallery | SmallGallery] = Field(description="which faces the classifier keeps")
    format: Format = Field(description="a folder of safetensors and JSON, or one ONNX file")
    output: Nullable[Place] = Field(description="a new folder or file; null: one inside that of this export")
    int8: Switch = Field(description="whether the embedder computes in 8 bits, of format=onnx")


class StressTest(Eval):
    """What ``python -m fer_lightning stress`` takes."""

    stress: Choice[Stress] = Field(description="how the test faces are changed")
    limit: Nullable[Count] = Field(description="test faces, at most")
    batch_size: Count = Field(description="faces that are computed at once")


COMMANDS: dict[str, type[Node]] = {
    "train": Train,
    "eval": Eval,
    "audit": Audit,
    "predict": Predict,
    "export": Export,
    "stress": StressTest,
    "app": App,
}
