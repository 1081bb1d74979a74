"""Predictions of many pictures: made in batches, written one by one, so that memory does not grow with their number."""

import csv
import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import numpy as np
from PIL import Image

from fer_lightning.data.decoding import to_face
from fer_lightning.use.detectors import Box, Detector
from fer_lightning.use.model import Model, Prediction
from fer_lightning.use.sources import Frame

NO_FACE = "no face found"


class Seen(NamedTuple):
    """One picture, and what is said of the faces in it."""

    file: str
    frame: int | None
    size: tuple[int, int]  # width and height, pixels
    small: Image.Image | None  # the picture, small; of the first ones alone
    problem: str | None  # why nothing is said
    faces: list[tuple[Box | None, Prediction]]


def look(
    model: Model, detector: Detector, frames: Iterable[Frame], batch_size: int, keep: int, side: int
) -> Iterator[Seen]:
    """Yield what a model says of each picture, in their order.

    Args:
        model: What is asked.
        detector: What finds the faces.
        frames: The pictures.
        batch_size: Faces that are computed at once.
        keep: Of how many pictures, from the first, a small one is kept.
        side: Height and width that a small one fits into, pixels.
    """
    waiting: list[tuple[Seen, list[Box | None]]] = []
    faces: list[np.ndarray] = []
    for number, (file, frame, picture, problem) in enumerate(frames):
        found = detector(picture) if picture is not None else []
        faces += [to_face(face, model.image_size, []) for _, face in found]
        small = _shrink(picture, side) if picture is not None and number < keep else None
        size = picture.size if picture is not None else (0, 0)
        problem = problem or (None if found else NO_FACE)
        waiting.append((Seen(file, frame, size, small, problem, []), [box for box, _ in found]))
        if max(len(faces), len(waiting)) >= batch_size:
            yield from _tell(model, waiting, faces, batch_size)
            waiting, faces = [], []
    yield from _tell(model, waiting, faces, batch_size)


def _tell(
    model: Model, waiting: list[tuple[Seen, list[Box | None]]], faces: list[np.ndarray], batch_size: int
) -> Iterator[Seen]:
    predictions = model.predict_faces(faces, batch_size)
    for seen, boxes in waiting:
        yield seen._replace(faces=[(box, next(predictions)) for box in boxes])


def _shrink(picture: Image.Image, side: int) -> Image.Image:
    scale = side / max(picture.size)
    return picture.convert("RGB").resize([max(1, round(scale * length)) for length in picture.size])


class PredictionFiles:
    """predictions.csv and predictions.json, a row a face, or a row that says why there is none.

    Args:
        folder: Where they are written.
        model: Whose classes they name.
        head: What predictions.json says first.
        neighbours: Of how many training faces that decided, the nearest first, a row tells.
    """

    def __init__(self, folder: Path, model: Model, head: dict[str, Any], neighbours: int) -> None:
        self.classes, self.neighbours = model.classes, neighbours
        self.csv_file = (folder / "predictions.csv").open("w", newline="", encoding="utf-8", errors="surrogateescape")
        self.json_file = (folder / "predictions.json").open("w", encoding="utf-8")
        self.table = csv.writer(self.csv_file, lineterminator="\n")
        box = ["left", "top", "width", "height", "face_confidence"]
        votes = [f"vote_{name}" for name in self.classes]
        near = [f"neighbour_{n}{part}" for n in range(1, neighbours + 1) for part in ("", "_label", "_similarity")]
        self.header = ["file", "frame", *box, "class", *votes, "distance", "abstained", "problem", *near]
        self.table.writerow(self.header)
        self.json_file.write(json.dumps(head)[:-1] + ', "predictions": [')
        self.separator = "\n"

    def write(self, seen: Seen) -> None:
        """Write the rows of one picture."""
        for box, prediction in seen.faces:
            votes = [f"{prediction.votes[name]:.6f}" for name in self.classes]
            distance = "" if prediction.distance is None else f"{prediction.distance:.6f}"
            place = [""] * 5 if box is None else box
            near = (prediction.neighbours or ())[: self.neighbours]
            cells = [cell for one in near for cell in (one.name, one.label, f"{one.similarity:.6f}")]
            row = [prediction.label, *votes, distance, int(prediction.abstained), "", *cells]
            self._row([seen.file, _text(seen.frame), *place, *row])
            self._add(
                seen,
                box=None if box is None else box._asdict(),
                votes={name: round(share, 6) for name, share in prediction.votes.items()},
                distance=prediction.distance,
                abstained=prediction.abstained,
                neighbours=[one._asdict() for one in near],
                **{"class": prediction.label},
            )
        if not seen.faces:
            self._row([seen.file, _text(seen.frame), *[""] * (len(self.classes) + 8), seen.problem])
            self._add(seen, problem=seen.problem)

    def _row(self, cells: list[Any]) -> None:
        self.table.writerow([*cells, *[""] * (len(self.header) - len(cells))])

    def _add(self, seen: Seen, **content: object) -> None:
        self.json_file.write(self.separator + json.dumps({"file": seen.file, "frame": seen.frame, **content}))
        self.separator = ",\n"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close both, whole whatever has happened."""
        self.json_file.write("\n]}\n")
        self.json_file.close()
        self.csv_file.close()


def _text(frame: int | None) -> str:
    return "" if frame is None else str(frame)
