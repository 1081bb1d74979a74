"""Files of the verb predict: predictions.csv, predictions.json and predictions.html."""

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from fer_lightning.data.faces import Faces
from fer_lightning.report.html import png, write_page
from fer_lightning.report.style import class_colors
from fer_lightning.use.model import Model
from fer_lightning.use.recognition import Recognition

BOX = ["left", "top", "width", "height", "face_confidence"]


class PredictionFiles:
    """predictions.csv and predictions.json: one entry per face, or one with the problem of a picture.

    Args:
        folder: Folder of the files.
        model: Its classes are columns.
        head: First entries of predictions.json.
        neighbours: Number of neighbours per face, nearest first.
    """

    def __init__(self, folder: Path, model: Model, head: Mapping[str, Any], neighbours: int) -> None:
        self.neighbours = neighbours
        self.csv_file = (folder / "predictions.csv").open("w", newline="", encoding="utf-8", errors="surrogateescape")
        self.json_file = (folder / "predictions.json").open("w", encoding="utf-8")
        votes = [f"vote_{name}" for name in model.classes]
        header = ["file", "frame", *BOX, "class", *votes, "distance", "abstained", "problem"]
        for number in range(1, neighbours + 1):
            header += [f"neighbour_{number}{part}" for part in ("", "_label", "_similarity")]
        self.table = csv.DictWriter(self.csv_file, header, lineterminator="\n")
        self.table.writeheader()
        self.json_file.write(json.dumps(head)[:-1] + ', "predictions": [')
        self.separator = "\n"

    def write(self, recognition: Recognition) -> None:
        """Write the entries of one picture."""
        picture = {"file": recognition.file, "frame": recognition.frame}
        if not recognition.faces:
            self._write({**picture, "problem": recognition.problem}, {**picture, "problem": recognition.problem})
        for box, prediction in recognition.faces:
            neighbours = (prediction.neighbours or ())[: self.neighbours]
            row: dict[str, Any] = {**picture, "class": prediction.label, "abstained": int(prediction.abstained)}
            if box is not None:
                row |= zip(BOX, box, strict=True)
            if prediction.distance is not None:
                row["distance"] = f"{prediction.distance:.6f}"
            row |= {f"vote_{name}": f"{vote:.6f}" for name, vote in prediction.votes.items()}
            for number, neighbour in enumerate(neighbours, 1):
                row[f"neighbour_{number}"] = neighbour.name
                row[f"neighbour_{number}_label"] = neighbour.label
                row[f"neighbour_{number}_similarity"] = f"{neighbour.similarity:.6f}"
            content = {
                **picture,
                "box": None if box is None else box._asdict(),
                "votes": {name: round(vote, 6) for name, vote in prediction.votes.items()},
                "distance": prediction.distance,
                "abstained": prediction.abstained,
                "neighbours": [neighbour._asdict() for neighbour in neighbours],
                "class": prediction.label,
            }
            self._write(row, content)

    def _write(self, row: dict[str, Any], content: dict[str, Any]) -> None:
        self.table.writerow(row)
        self.json_file.write(self.separator + json.dumps(content))
        self.separator = ",\n"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End and close both files, also after an error."""
        self.json_file.write("\n]}\n")
        self.json_file.close()
        self.csv_file.close()


def write_predictions(
    path: Path,
    recognitions: Sequence[Recognition],
    head: Mapping[str, str],
    number: int,
    neighbours: int,
    faces: Faces | None,
    classes: Sequence[str],
) -> None:
    """Write predictions.html.

    Args:
        path: The file.
        recognitions: Pictures with a thumbnail each.
        head: Names and values of the first line.
        number: Number of all pictures.
        neighbours: Number of neighbours per face.
        faces: Training faces, whose pictures are shown by their names.
        classes: Classes of the model.
    """
    thumbnails = [png(np.asarray(recognition.thumbnail)[:, :, ::-1]) for recognition in recognitions]
    write_page(
        path,
        "predictions.html",
        title=f"What {Path(head['checkpoint']).name} says",
        head=head,
        number=number,
        recognitions=list(zip(recognitions, thumbnails, strict=True)),
        neighbours=neighbours,
        pictures=neighbour_pictures(recognitions, neighbours, faces),
        colors=class_colors(classes),
    )


def neighbour_pictures(recognitions: Sequence[Recognition], neighbours: int, faces: Faces | None) -> dict[str, str]:
    """Return the training faces that a page shows, by their names, as base64 of PNGs.

    Args:
        recognitions: Pictures on the page.
        neighbours: Number of neighbours per face.
        faces: Training faces; None if they are not available.
    """
    if faces is None:
        return {}
    names = {
        neighbour.name
        for recognition in recognitions
        for _, prediction in recognition.faces
        for neighbour in (prediction.neighbours or ())[:neighbours]
    }
    return {name: png(image) for name, image in zip(faces.names.tolist(), faces.images, strict=True) if name in names}
