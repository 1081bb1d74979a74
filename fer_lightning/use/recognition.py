"""Recognition of the faces in many pictures, in batches: memory does not grow with the number of pictures."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from PIL import Image

from fer_lightning.data.decoding import MAX_PIXELS
from fer_lightning.use.detectors import Box
from fer_lightning.use.model import Model, Prediction
from fer_lightning.use.sources import Frame
from fer_lightning.use.tracks import Tracker
from fer_lightning.words import counted

NO_FACE = "no face found"
PIXELS = MAX_PIXELS  # of the pictures that wait for their predictions, together: 150 MB
EXAMPLES = 8  # unreadable files that a message names


class Recognition(NamedTuple):
    """One picture and the predictions for its faces."""

    file: str  # as in ``Frame``
    frame: int | None
    picture: Image.Image | None  # None if it cannot be read
    problem: str | None  # why there is no prediction
    faces: Sequence[Prediction]  # from left to right
    seconds: float | None = None  # as in ``Frame``

    @property
    def title(self) -> str:
        """Return the name of the picture or frame, for people."""
        return self.file if self.frame is None else f"{self.file}, frame {self.frame}"

    @property
    def numbered(self) -> list[tuple[str, Prediction]]:
        """The faces with their numbers: of their tracks, else from left to right; a single face has none."""
        if len(self.faces) == 1 and self.faces[0].track is None:
            return [("", self.faces[0])]
        return [(str(face.track or position), face) for position, face in enumerate(self.faces, 1)]


def recognise(
    model: Model, frames: Iterable[Frame], batch_size: int, smooth: float | None = None
) -> Iterator[Recognition]:
    """Yield the predictions for each picture, in the order of the pictures; ``batch_size`` faces are computed at once.

    No more pictures wait for their predictions than have ``PIXELS`` together. Faces of frames that have a time are
    followed, their votes smoothed over ``smooth`` seconds.
    """
    tracker = Tracker(model.calibration, smooth)
    waiting: list[tuple[Recognition, list[tuple[Box | None, np.ndarray]]]] = []
    number, pixels = 0, 0  # of faces, or of pictures without one, and of pixels, that wait
    for file, frame, picture, problem, seconds in frames:
        faces = [] if picture is None else model.find(picture)
        if picture is not None:
            problem = None if faces else NO_FACE
            pixels += picture.width * picture.height
        number += max(1, len(faces))
        waiting.append((Recognition(file, frame, picture, problem, (), seconds), faces))
        if number >= batch_size or pixels >= PIXELS:
            yield from _predict(model, tracker, waiting, batch_size)
            waiting, number, pixels = [], 0, 0
    yield from _predict(model, tracker, waiting, batch_size)


def _predict(
    model: Model,
    tracker: Tracker,
    waiting: list[tuple[Recognition, list[tuple[Box | None, np.ndarray]]]],
    batch_size: int,
) -> Iterator[Recognition]:
    """Yield each recognition with the predictions for its faces (box, (H, W) uint8)."""
    predictions = model.predict_faces([face for _, faces in waiting for _, face in faces], batch_size)
    for recognition, faces in waiting:
        answers = [replace(next(predictions), box=box) for box, _ in faces]
        if recognition.seconds is not None:
            answers = tracker.follow(recognition.seconds, answers)
        yield recognition._replace(faces=answers)


@dataclass
class Tally:
    """Numbers of pictures, faces and problems."""

    pictures: int = 0
    faces: int = 0
    abstained: int = 0
    without_face: int = 0
    unreadable: int = 0
    tracks: int = 0
    examples: list[str] = field(default_factory=list)  # the first unreadable files, with the reason
    classes: Counter[str] = field(default_factory=Counter)

    def add(self, recognition: Recognition) -> None:
        """Count a picture."""
        self.pictures += 1
        self.faces += len(recognition.faces)
        self.abstained += sum(prediction.abstained for prediction in recognition.faces)
        self.classes.update(prediction.label for prediction in recognition.faces)
        self.tracks = max([self.tracks, *(prediction.track or 0 for prediction in recognition.faces)])
        if recognition.problem == NO_FACE:
            self.without_face += 1
        elif recognition.problem is not None:
            self.unreadable += 1
            if self.unreadable <= EXAMPLES:
                self.examples.append(f"{recognition.title}: {recognition.problem}")

    @property
    def rows(self) -> int:
        """Return the number of rows of predictions.csv."""
        return self.faces + self.without_face + self.unreadable

    def lines(self) -> list[str]:
        """Return the numbers for people."""
        classes = ", ".join(f"{name} {number:,}" for name, number in self.classes.most_common())
        lines = [f"{counted(self.pictures, 'picture')}, {counted(self.faces, 'face')}: {classes or 'none'}"]
        if self.abstained:
            lines.append(f"  the network abstains from {counted(self.abstained, 'face')}: column abstained")
        if self.tracks:
            lines.append(f"  followed over time as {counted(self.tracks, 'track')}: column track")
        if self.without_face:
            lines.append(f"  {self.without_face:,} without a face that the detector finds")
        if self.unreadable:
            examples = list(self.examples)
            if self.unreadable > EXAMPLES:
                examples.append(f"and {self.unreadable - EXAMPLES:,} more")
            lines.append(f"  {self.unreadable:,} unreadable: {'; '.join(examples)}")
        return lines
