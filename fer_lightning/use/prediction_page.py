"""Pages of the verbs predict and app: pictures with numbered boxes, and each face with its votes and neighbours."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import NamedTuple

from PIL import Image

from fer_lightning.data.faces import Faces
from fer_lightning.report.html import TEMPLATES, jpeg, png, write_page
from fer_lightning.report.style import CLASS_COLORS, by_class
from fer_lightning.use.annotations import annotate, draw_cell
from fer_lightning.use.answers import BATCH
from fer_lightning.use.model import Model
from fer_lightning.use.photos import decode
from fer_lightning.use.recognition import Recognition, recognise
from fer_lightning.use.sources import Frame
from fer_lightning.use.strips import Film

SIDES = (320, 720)  # pixels: length of the longer side of a picture on a page, at least and at most


class Entry(NamedTuple):
    """A picture on the page and on the contact sheet."""

    recognition: Recognition  # without its picture
    photo: str  # the picture with its boxes: JPEG in base64
    cell: Image.Image  # of the contact sheet


def draw_entry(recognition: Recognition) -> Entry:
    """Return the entry of a picture on the page and on the contact sheet."""
    return Entry(recognition._replace(picture=None), draw_photo(recognition), draw_cell(recognition))


def draw_photo(recognition: Recognition) -> str:
    """Return a picture with its boxes at a size for a page, as JPEG in base64."""
    shortest, longest = SIDES
    assert recognition.picture is not None
    return jpeg(annotate(recognition, min(max(shortest, *recognition.picture.size), longest)))


def write_predictions(
    path: Path,
    entries: Sequence[Entry],
    head: Mapping[str, str],
    number: int,
    neighbours: int,
    faces: Faces | None,
    classes: Sequence[str],
    film: Film,
) -> None:
    """Write predictions.html.

    Args:
        path: The file.
        entries: Some of the pictures.
        head: Lines for its top.
        number: Number of all pictures.
        neighbours: Maximum number of neighbours per face.
        faces: Training faces, for the pictures of the neighbours.
        classes: Names of all classes.
        film: Tracks of a video; without strips for pictures.
    """
    recognitions = [entry.recognition for entry in entries]
    write_page(
        path,
        "predictions.html",
        title=f"What {Path(head['checkpoint']).name} says",
        head=head,
        number=number,
        annotated=(path.parent / "annotated").is_dir(),
        entries=entries,
        neighbours=neighbours,
        pictures=neighbour_pictures(recognitions, neighbours, faces),
        colors=by_class(classes, CLASS_COLORS),
        film=film,
    )


def neighbour_pictures(recognitions: Sequence[Recognition], neighbours: int, faces: Faces | None) -> dict[str, str]:
    """Return the pictures of the neighbours that a page shows, by their names, as base64 of PNGs."""
    if faces is None:
        return {}
    names = {
        neighbour.name
        for recognition in recognitions
        for prediction in recognition.faces
        for neighbour in (prediction.neighbours or ())[:neighbours]
    }
    return {name: png(image) for name, image in zip(faces.names.tolist(), faces.images, strict=True) if name in names}


@dataclass
class Viewer:
    """Answer photos by parts of the page of ``app``; keep none of them."""

    model: Model  # with its detector
    neighbours: int  # number of neighbours that are shown for each face
    seconds: float  # time limit for the decoding of a photo
    faces: Faces | None = None  # training faces, for the pictures of the neighbours
    lock: Lock = field(default_factory=Lock)  # detectors and networks answer one photo at a time

    def analyse(self, data: bytes) -> Recognition:
        """Return the photo in a picture file's content, with the predictions for its faces.

        Raises:
            UserError: If it is no photo, or cannot be decoded in time.
        """
        photo = decode(data, self.seconds)
        with self.lock:
            (recognition,) = recognise(self.model, [Frame("photo", None, photo)], BATCH)
        return recognition

    def answer(self, data: bytes) -> str:
        """Return the predictions for a photo as HTML; raise as ``analyse``."""
        recognition = self.analyse(data)
        return TEMPLATES.get_template("answer.html").render(
            recognition=recognition,
            photo=draw_photo(recognition),
            neighbours=self.neighbours,
            pictures=neighbour_pictures([recognition], self.neighbours, self.faces),
            colors=by_class(self.model.classes, CLASS_COLORS),
        )
