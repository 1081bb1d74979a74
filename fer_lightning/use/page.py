"""predictions.html: what is said of each picture, and the training faces that decided."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from fer_lightning.data.faces import Faces
from fer_lightning.report.html import png, write_page
from fer_lightning.report.looks import class_colors
from fer_lightning.use.predictions import Seen


def write_predictions(
    path: Path,
    seen: Sequence[Seen],
    head: Mapping[str, str],
    number: int,
    neighbours: int,
    faces: Faces | None,
    classes: Sequence[str],
) -> None:
    """Write the page.

    Args:
        path: The file.
        seen: Pictures, with a small one each.
        head: What was asked, by which model and detector.
        number: Of how many pictures these are the first.
        neighbours: Training faces that are shown for each face.
        faces: Where the pictures of the training faces are, by their names.
        classes: Those of the model.
    """
    write_page(
        path,
        "predictions.html",
        title=f"What {Path(head['checkpoint']).name} says",
        head=head,
        number=number,
        seen=[(one, png(np.asarray(one.small)[:, :, ::-1])) for one in seen],
        neighbours=neighbours,
        pictures=_pictures(faces, seen, neighbours) if faces else {},
        colors=class_colors(classes),
    )


def _pictures(faces: Faces, seen: Sequence[Seen], neighbours: int) -> dict[str, str]:
    """Return the training faces that the page shows, of those that are there, as base64 of PNGs by their names."""
    found = [prediction.neighbours or () for one in seen for _, prediction in one.faces]
    wanted = {near.name for decided in found for near in decided[:neighbours]}
    return {name: png(image) for name, image in zip(faces.names.tolist(), faces.images, strict=True) if name in wanted}
