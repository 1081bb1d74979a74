"""Description of a bundle or an ONNX model: classes, preprocessing, network, origin; as JSON, with a hash of all.

A bundle is a folder: weights with the gallery, the description, a card.
"""

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from fer_lightning.data.classes import wrong_names
from fer_lightning.errors import UserError
from fer_lightning.models.calibration import Calibration, read_calibration
from fer_lightning.names import printable

WEIGHTS, CONFIG = "model.safetensors", "config.json"  # files of a bundle
FORMAT = 1  # raise it with every change that an older fer_lightning would misread
HASH = re.compile(rb'"model": "sha256:([0-9a-f]{64})"')  # of a model in its own description, computed with BLANK
BLANK = b"0" * 64
MARKS = (b'"model": "', b'"sha256:')  # one is left where the other is damaged; a model without a hash has neither
TYPES = {  # of the values in JSON
    "classes": list,
    "image_size": int,
    "embedder": dict,
    "classifier": dict,
    "mirrored": bool,
    "origin": dict,
    "changes": list,
}


@dataclass(frozen=True)
class Description:
    """Everything that a model needs to be used, and its origin."""

    classes: tuple[str, ...]  # in the order of the votes
    image_size: int  # height and width of a face, pixels
    embedder: dict[str, Any]  # configuration: a class of conf/embedder and plain values
    classifier: dict[str, Any]  # configuration: a class of conf/classifier and plain values
    mirrored: bool  # whether a face is embedded as the mean of its picture and its mirror image
    origin: dict[str, str]  # versions, and fingerprints of code, data and weights
    changes: tuple[str, ...] = ()  # by the export, one sentence each
    gallery: tuple[str, ...] = ()  # file names of the gallery's faces, by row; empty if unknown
    overrides: tuple[str, ...] | None = None  # options that trained it, without folders; None if unknown
    calibration: Calibration = field(default_factory=Calibration)
    format: int = FORMAT
    preprocessing: str = field(
        default="turned upright by EXIF, what is transparent on white, 8-bit grey, resized to image_size by Lanczos, "
        "then value / 127.5 - 1",
        init=False,
    )

    def to_json(self) -> str:
        """Return the description as text."""
        return json.dumps({**asdict(self), "gallery": "\n".join(self.gallery)}, indent=2) + "\n"

    def with_room(self) -> "Description":
        """Return the description with room for the hash that ``seal`` writes."""
        return replace(self, origin={**self.origin, "model": f"sha256:{BLANK.decode()}"})


def seal(content: bytes) -> bytes:
    """Return a model, which holds a description with room for it, with a hash of all of its bytes."""
    before, blank, after = content.partition(b'"model": "sha256:' + BLANK)
    return before + blank.replace(BLANK, _hash(content)) + after


def is_whole(content: bytes) -> bool:
    """Return whether the hash in a model fits its bytes; True for one without a hash."""
    if not any(mark in content for mark in MARKS):
        return True
    match = HASH.search(content)
    return match is not None and _hash(content[: match.start(1)] + BLANK + content[match.end(1) :]) == match[1]


def _hash(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()


def read_gallery(content: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the file names of the gallery's faces; none for an old file, which has no names."""
    return tuple(printable(str(content.get("gallery", ""))).splitlines())


def read_description(text: str, source: str) -> Description:
    """Return the description in a JSON text.

    Args:
        text: May be hostile. ``runs.rebuilding.rebuild`` checks the configurations, not this function.
        source: Name of the file in messages, with the option that names it.

    Raises:
        UserError: If the text is damaged, no description, or of a newer format.
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
        for name, kind in TYPES.items():
            if type(content[name]) is not kind:
                raise ValueError(f"{name} is no {kind.__name__}")
        fields = {name: content[name] for name in TYPES}
        classes, image_size = content["classes"], content["image_size"]
        texts = (*classes, *content["changes"], *content["origin"].values(), content.get("gallery", ""))
        if not all(isinstance(text, str) for text in texts):
            raise ValueError("classes, changes, origin and gallery are texts")
        overrides = content.get("overrides")
        if overrides is not None and not (type(overrides) is list and all(type(text) is str for text in overrides)):
            raise ValueError("overrides are no list of texts")
        if wrong_names(classes):
            raise ValueError("classes are different names")
        if not 1 <= image_size <= 1024:
            raise ValueError("image_size is 1 to 1024 pixels")
        size = content["embedder"].get("image_size", image_size)
        if size != image_size:
            raise ValueError(f"image_size is {image_size} pixels, and {size} of the embedder")
        fields |= {"classes": tuple(classes), "changes": tuple(content["changes"]), "gallery": read_gallery(content)}
        fields |= {"overrides": None if overrides is None else tuple(overrides), "format": version}
        return Description(**fields, calibration=read_calibration(content, source))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise UserError(f"{source} is damaged ({error!r:.200}): export it again") from error


def is_bundle(folder: Path) -> bool:
    """Return whether a folder holds a file of a bundle."""
    return any((folder / name).is_file() for name in (CONFIG, WEIGHTS))


def read_bundle(folder: Path, source: str) -> tuple[Description, bytes]:
    """Return the description of a bundle and the content of its weights.

    Args:
        folder: The bundle. It may come from a stranger.
        source: Name of the bundle in messages, with the option that names it.

    Raises:
        UserError: If a file is missing, damaged, of a newer format or of another bundle.
    """
    for name in (CONFIG, WEIGHTS):
        if not (folder / name).is_file():
            raise UserError(f"{source} holds no {name}: give a folder that export format=bundle has written")
    text, weights = ((folder / name).read_bytes() for name in (CONFIG, WEIGHTS))
    text = text.replace(b"\r\n", b"\n")  # which git writes on Windows
    if not is_whole(text + weights):
        raise UserError(f"{source} is damaged: the hash in {CONFIG} does not fit the two files; export it again")
    description = read_description(text.decode(errors="replace"), source)
    if hashlib.sha256(weights).hexdigest() != description.origin.get("weights"):
        raise UserError(f"{source} is damaged: {WEIGHTS} is not the one that {CONFIG} describes; export it again")
    return description, weights
