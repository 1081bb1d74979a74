"""Recognition of the faces in many pictures, in batches: memory does not grow with the number of pictures."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from PIL import Image

from fer_lightning.data.decoding import to_face
from fer_lightning.use.detectors import Box, Detector
from fer_lightning.use.model import Model, Prediction
from fer_lightning.use.sources import Frame
from fer_lightning.words import counted

NO_FACE = "no face found"
EXAMPLES = 8  # unreadable files that a message names


class Recognition(NamedTuple):
    """One picture and the predictions for its faces."""

    file: str  # as in ``Frame``
    frame: int | None
    size: tuple[int, int]  # width and height, pixels
    thumbnail: Image.Image | None  # only of the first pictures
    problem: str | None  # why there is no prediction
    faces: list[tuple[Box | None, Prediction]]
    seconds: float | None = None  # as in ``Frame``


def recognise(
    model: Model, detector: Detector, frames: Iterable[Frame], batch_size: int, thumbnails: int, side: int
) -> Iterator[Recognition]:
    """Yield the predictions for each picture, in the order of the pictures.

    ``batch_size`` faces are computed at once. The first ``thumbnails`` pictures get a thumbnail, whose longer side is
    ``side`` pixels.
    """
    waiting: list[tuple[Recognition, list[tuple[Box | None, np.ndarray]]]] = []
    for number, (file, frame, picture, problem, seconds) in enumerate(frames):
        faces, size, thumbnail = [], (0, 0), None
        if picture is not None:
            faces = [(box, to_face(face, model.image_size, [])) for box, face in detector(picture)]
            size, thumbnail = picture.size, _shrink(picture, side) if number < thumbnails else None
            problem = None if faces else NO_FACE
        waiting.append((Recognition(file, frame, size, thumbnail, problem, [], seconds), faces))
        if max(len(waiting), sum(len(faces) for _, faces in waiting)) >= batch_size:
            yield from _predict(model, waiting, batch_size)
            waiting = []
    yield from _predict(model, waiting, batch_size)


def _predict(
    model: Model, waiting: list[tuple[Recognition, list[tuple[Box | None, np.ndarray]]]], batch_size: int
) -> Iterator[Recognition]:
    """Yield each recognition with the predictions for its faces (box, (H, W) uint8)."""
    predictions = model.predict_faces([face for _, faces in waiting for _, face in faces], batch_size)
    for recognition, faces in waiting:
        yield recognition._replace(faces=[(box, next(predictions)) for box, _ in faces])


def _shrink(picture: Image.Image, side: int) -> Image.Image:
    scale = side / max(picture.size)
    return picture.convert("RGB").resize([max(1, round(scale * length)) for length in picture.size])


@dataclass
class Tally:
    """Numbers of pictures, faces and problems."""

    pictures: int = 0
    faces: int = 0
    abstained: int = 0
    without_face: int = 0
    unreadable: int = 0
    examples: list[str] = field(default_factory=list)  # the first unreadable files, with the reason
    classes: Counter[str] = field(default_factory=Counter)

    def add(self, recognition: Recognition) -> None:
        """Count a picture."""
        self.pictures += 1
        self.faces += len(recognition.faces)
        self.abstained += sum(prediction.abstained for _, prediction in recognition.faces)
        self.classes.update(prediction.label for _, prediction in recognition.faces)
        if recognition.problem == NO_FACE:
            self.without_face += 1
        elif recognition.problem is not None:
            self.unreadable += 1
            if self.unreadable <= EXAMPLES:
                frame = "" if recognition.frame is None else f", frame {recognition.frame}"
                self.examples.append(f"{recognition.file}{frame}: {recognition.problem}")

    @property
    def rows(self) -> int:
        """Return the number of rows of predictions.csv."""
        return self.faces + self.without_face + self.unreadable

    def lines(self) -> list[str]:
        """Return the numbers for people."""
        classes = ", ".join(f"{name} {number:,}" for name, number in self.classes.most_common())
        lines = [f"{counted(self.pictures, 'picture')}, {counted(self.faces, 'face')}: {classes or 'none'}"]
        if self.abstained:
            lines.append(f"  of {counted(self.abstained, 'face')} the network would rather not say: column abstained")
        if self.without_face:
            lines.append(f"  {self.without_face:,} without a face that the detector finds")
        if self.unreadable:
            examples = list(self.examples)
            if self.unreadable > EXAMPLES:
                examples.append(f"and {self.unreadable - EXAMPLES:,} more")
            lines.append(f"  {self.unreadable:,} unreadable: {'; '.join(examples)}")
        return lines
