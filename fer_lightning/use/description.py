"""What a bundle or an ONNX model says of itself: classes, preprocessing, network, origin; as JSON."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from fer_lightning.data.classes import wrong_names
from fer_lightning.errors import UserError
from fer_lightning.models.calibration import Calibration, read_calibration
from fer_lightning.names import printable

FORMAT = 1  # raise it with every change that an older fer_lightning would read wrongly


@dataclass(frozen=True)
class Description:
    """What is needed to use a model, and where it comes from.

    Attributes:
        classes: Names of the classes, in the order of the votes.
        image_size: Height and width of the faces that the network takes, pixels.
        embedder: Configuration of the embedder: a class of ours and plain values.
        classifier: Configuration of the classifier, likewise.
        mirrored: Whether a face is embedded as the mean of its picture and its mirror image.
        origin: What made it: versions, and fingerprints of code, data and weights.
        changes: What was changed on export, one sentence each.
        gallery: Names of the classifier's faces, row by row; empty where they are not known.
        calibration: How votes become probabilities, and from which faces the model abstains.
        format: Version of this format.
    """

    classes: tuple[str, ...]
    image_size: int
    embedder: dict[str, Any]
    classifier: dict[str, Any]
    mirrored: bool
    origin: dict[str, str]
    changes: tuple[str, ...] = ()
    gallery: tuple[str, ...] = ()
    calibration: Calibration = field(default_factory=Calibration)
    format: int = FORMAT
    preprocessing: str = field(
        default="turned upright by EXIF, what is transparent on white, 8-bit grey, resized to image_size by Lanczos, "
        "then value / 127.5 - 1",
        init=False,
    )

    def to_json(self) -> str:
        """Return it as text."""
        return json.dumps({**asdict(self), "gallery": "\n".join(self.gallery)}, indent=2) + "\n"


def read_gallery(content: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of the classifier's faces; of what was written before they were saved, none."""
    return tuple(printable(str(content.get("gallery", ""))).splitlines())


def read_description(text: str, source: str) -> Description:
    """Return what ``to_json`` wrote.

    Args:
        text: JSON; a stranger's may be given. The configurations are not looked at, see ``runs.rebuilding.rebuild``.
        source: Name of the file in messages, after the option that gave it.

    Raises:
        UserError: If it is damaged, no description of ours, or of a newer format.
    """
    try:
        content = json.loads(text)
        version = int(content["format"])
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise UserError(
            f"{source} is damaged or no model of fer_lightning ({error!r:.200}): export it again"
        ) from error
    if version > FORMAT:
        raise UserError(f"{source} has format {version}, and this fer_lightning reads up to {FORMAT}: update it")
    try:
        classes, image_size = tuple(content["classes"]), content["image_size"]
        if not all(isinstance(name, str) for name in classes) or wrong_names(classes):
            raise ValueError("classes are different names")
        if not isinstance(image_size, int) or not 1 <= image_size <= 1024:
            raise ValueError("image_size is 1 to 1024 pixels")
        return Description(
            classes,
            image_size,
            dict(content["embedder"]),
            dict(content["classifier"]),
            content["mirrored"] is True,
            {str(key): str(value) for key, value in content["origin"].items()},
            tuple(map(str, content["changes"])),
            read_gallery(content),
            read_calibration(content, source),
            version,
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{source} is damaged ({error!r:.200}): export it again") from error
