"""Viewer: the answer of ``python -m fer_lightning app`` to a photo, as HTML, without a server."""

from dataclasses import dataclass, field
from threading import Lock

from fer_lightning.data.faces import Faces
from fer_lightning.report.html import TEMPLATES
from fer_lightning.report.style import class_colors
from fer_lightning.use.answers import BATCH
from fer_lightning.use.model import Model
from fer_lightning.use.photos import decode
from fer_lightning.use.prediction_page import draw_photo, neighbour_pictures
from fer_lightning.use.recognition import Recognition, recognise
from fer_lightning.use.sources import Frame


@dataclass
class Viewer:
    """Answer photos; keep none of them."""

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
            colors=class_colors(self.model.classes),
        )
