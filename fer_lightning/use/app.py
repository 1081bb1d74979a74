"""What the page of ``python -m fer_lightning app`` says of a photo; nothing here knows of a server."""

from collections.abc import Mapping
from threading import Lock

import numpy as np
from PIL import Image

from fer_lightning.data.faces import Faces
from fer_lightning.report.html import TEMPLATES, png
from fer_lightning.report.looks import class_colors
from fer_lightning.use.answers import BATCH
from fer_lightning.use.detectors import Box, Detector, cut
from fer_lightning.use.model import Model
from fer_lightning.use.predictions import Seen, look
from fer_lightning.use.sheet import mark
from fer_lightning.use.sources import Frame
from fer_lightning.use.uploads import decode

SIDES, LETTERS = (320, 720), 26  # pixels: longer side of the photo as it is shown, height of its letters


class Viewer:
    """Answers photos, of which it keeps nothing.

    Args:
        model: What is asked.
        detector: What finds the faces.
        neighbours: Training faces that are shown for each face.
        seconds: How long the decoding of a photo may take.
        faces: Where the pictures of the training faces are, by their names; None where they are not at hand.
    """

    def __init__(
        self, model: Model, detector: Detector, neighbours: int, seconds: float, faces: Faces | None = None
    ) -> None:
        self.model, self.detector, self.neighbours, self.seconds = model, detector, neighbours, seconds
        self.images: Mapping[str, np.ndarray] = (
            dict(zip(faces.names.tolist(), faces.images, strict=True)) if faces else {}
        )
        self.lock = Lock()  # detectors and networks answer one at a time

    def analyse(self, data: bytes) -> tuple[Image.Image, Seen]:
        """Return a photo and what is said of the faces in it.

        Args:
            data: Content of a picture file.

        Raises:
            UserError: If it is no photo that can be read in time.
        """
        picture = decode(data, self.seconds)
        smallest, largest = SIDES
        side = min(max(smallest, *picture.size), largest)
        with self.lock:
            (seen,) = look(self.model, self.detector, [Frame("photo", None, picture)], BATCH, 1, side)
        return picture, seen

    def answer(self, data: bytes) -> str:
        """Return what is said of a photo as a part of the page; raises as ``analyse``."""
        picture, seen = self.analyse(data)
        marked = mark(seen.small or picture, seen, LETTERS)
        wanted = {near.name for _, said in seen.faces for near in (said.neighbours or ())[: self.neighbours]}
        return TEMPLATES.get_template("answer.html").render(
            seen=seen,
            photo=png(np.asarray(marked)[:, :, ::-1]),
            faces=[(png(self._face(picture, box)), box, said) for box, said in seen.faces],
            neighbours=self.neighbours,
            pictures={name: png(self.images[name]) for name in wanted & self.images.keys()},
            colors=class_colors(self.model.classes),
        )

    def _face(self, picture: Image.Image, box: Box | None) -> np.ndarray:
        return self.model.face(picture if box is None else cut(picture, box))
