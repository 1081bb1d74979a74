"""Viewer: the answer of ``python -m fer_lightning app`` to a photo, as HTML, without a server."""

from dataclasses import dataclass, field
from threading import Lock

import numpy as np
from PIL import Image

from fer_lightning.data.faces import Faces
from fer_lightning.report.html import TEMPLATES, png
from fer_lightning.report.style import class_colors
from fer_lightning.use.answers import BATCH
from fer_lightning.use.detectors import Box, Detector, cut
from fer_lightning.use.model import Model
from fer_lightning.use.photos import decode
from fer_lightning.use.prediction_files import neighbour_pictures
from fer_lightning.use.recognition import Recognition, recognise
from fer_lightning.use.sheet import annotate
from fer_lightning.use.sources import Frame

SIDES, LETTERS = (320, 720), 26  # pixels: shortest and longest side of the photo on the page, height of its letters


@dataclass
class Viewer:
    """Answer photos; keep none of them."""

    model: Model
    detector: Detector
    neighbours: int  # number of neighbours that are shown for each face
    seconds: float  # time limit for the decoding of a photo
    faces: Faces | None = None  # training faces, for the pictures of the neighbours
    lock: Lock = field(default_factory=Lock)  # detectors and networks answer one photo at a time

    def analyse(self, data: bytes) -> tuple[Image.Image, Recognition]:
        """Return the photo in a picture file's content, and the predictions for its faces.

        Raises:
            UserError: If it is no photo, or cannot be decoded in time.
        """
        photo = decode(data, self.seconds)
        shortest, longest = SIDES
        side = min(max(shortest, *photo.size), longest)
        with self.lock:
            (recognition,) = recognise(self.model, self.detector, [Frame("photo", None, photo)], BATCH, 1, side)
        return photo, recognition

    def answer(self, data: bytes) -> str:
        """Return the predictions for a photo as HTML; raise as ``analyse``."""
        photo, recognition = self.analyse(data)
        annotated = annotate(recognition.thumbnail or photo, recognition, LETTERS)
        return TEMPLATES.get_template("answer.html").render(
            problem=recognition.problem,
            photo=png(np.asarray(annotated)[:, :, ::-1]),
            faces=[(png(self._face(photo, box)), box, prediction) for box, prediction in recognition.faces],
            neighbours=self.neighbours,
            pictures=neighbour_pictures([recognition], self.neighbours, self.faces),
            colors=class_colors(self.model.classes),
        )

    def _face(self, photo: Image.Image, box: Box | None) -> np.ndarray:
        return self.model.face(photo if box is None else cut(photo, box))
