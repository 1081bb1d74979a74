"""Tables of the verb predict: predictions.csv and predictions.json."""

import csv
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from fer_lightning.names import cell
from fer_lightning.use.recognition import Recognition

BOX = ["left", "top", "width", "height", "face_confidence"]
PART = "predict was ended: these rows are a part, and the pictures after them are missing"


@contextmanager
def prediction_writer(
    folder: Path,
    classes: Sequence[str],
    head: Mapping[str, Any],
    neighbours: int,
    remarks: Sequence[str],
    smooth: float | None = None,
) -> Iterator[Callable[[Recognition], None]]:
    """Open predictions.csv and predictions.json; yield a function that adds the faces of a picture to both.

    predictions.json begins with ``head`` and ends with ``remarks``. ``neighbours`` is the number per face, the nearest
    first. After an error or a signal both files are complete as far as they go, and say that they are a part.
    """
    header = ["file", "frame", *BOX, "class", *(f"vote_{name}" for name in classes), "distance", "abstained", "problem"]
    for number in range(1, neighbours + 1):
        header += [f"neighbour_{number}", f"neighbour_{number}_label", f"neighbour_{number}_similarity"]
    header += ["seconds", "face", "track"]
    if smooth:
        header += [f"smoothed_{name}" for name in classes]
    csv_path, json_path = folder / "predictions.csv", folder / "predictions.json"
    with (
        csv_path.open("w", newline="", encoding="utf-8") as csv_file,
        json_path.open("w", encoding="utf-8") as json_file,
    ):
        table = csv.DictWriter(csv_file, header, lineterminator="\n")
        table.writeheader()
        json_file.write(json.dumps(head)[:-1] + ', "predictions": [')
        separator = "\n"

        def write(recognition: Recognition) -> None:
            nonlocal separator
            for row, entry in _entries(recognition, neighbours):
                table.writerow({name: cell(text) if isinstance(text, str) else text for name, text in row.items()})
                json_file.write(separator + json.dumps(entry))
                separator = ",\n"

        complete = False
        try:
            yield write
            complete = True
        finally:
            if not complete:
                table.writerow({"problem": PART})
            ending = json.dumps({"complete": complete, "remarks": list(remarks)})
            json_file.write(f"\n], {ending[1:]}\n")


def _entries(recognition: Recognition, count: int) -> Iterator[tuple[dict[str, Any], dict[str, Any]]]:
    """Yield the row of predictions.csv and the entry of predictions.json for each face, or for the problem."""
    seconds = None if recognition.seconds is None else round(recognition.seconds, 3)
    picture: dict[str, Any] = {"file": recognition.file, "frame": recognition.frame, "seconds": seconds}
    if not recognition.faces:
        problem = {**picture, "problem": recognition.problem}
        yield problem, problem
    for face, prediction in enumerate(recognition.faces, 1):
        picture |= {"face": face, "track": prediction.track}
        neighbours = (prediction.neighbours or ())[:count]
        row: dict[str, Any] = {**picture, "class": prediction.label, "abstained": int(prediction.abstained)}
        row |= {f"vote_{name}": f"{vote:.6f}" for name, vote in prediction.votes.items()}
        smoothed = prediction.smoothed_votes or {}
        row |= {f"smoothed_{name}": f"{vote:.6f}" for name, vote in smoothed.items()}
        if prediction.box is not None:
            row |= zip(BOX, prediction.box, strict=True)
        if prediction.distance is not None:
            row["distance"] = f"{prediction.distance:.6f}"
        for number, neighbour in enumerate(neighbours, 1):
            row[f"neighbour_{number}"] = neighbour.name
            row[f"neighbour_{number}_label"] = neighbour.label
            row[f"neighbour_{number}_similarity"] = f"{neighbour.similarity:.6f}"
        yield (
            row,
            {
                **picture,
                "box": None if prediction.box is None else prediction.box._asdict(),
                "votes": {name: round(vote, 6) for name, vote in prediction.votes.items()},
                "distance": prediction.distance,
                "abstained": prediction.abstained,
                "neighbours": [neighbour._asdict() for neighbour in neighbours],
                "class": prediction.label,
                **({"smoothed_votes": {name: round(vote, 6) for name, vote in smoothed.items()}} if smoothed else {}),
            },
        )
