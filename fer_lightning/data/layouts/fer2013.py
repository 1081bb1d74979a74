"""FER2013's csv: a row for each face, with its number of the class, its pixels and its part of the contest."""

import csv
import io
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePosixPath

import numpy as np

from fer_lightning.data.contents import USAGES, Contents, Entry
from fer_lightning.data.faces import CLASSES
from fer_lightning.data.listing import TREE, Listing
from fer_lightning.errors import UserError

FILES = ("fer2013.csv", "icml_face_data.csv")
SIZE = 48  # pixels, height and width of the faces
EMOTIONS = dict(zip("0123456", ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"), strict=True))


def find(listing: Listing, classes: Sequence[str] | None) -> Contents | None:
    """Return the rows of ``fer2013.csv``, or of the csv that is the source itself."""
    tables = [name for name in sorted(listing.names) if PurePosixPath(name).name.lower() in FILES]
    if listing.path.suffix.lower() == ".csv":
        tables = listing.names
    if not tables:
        return None
    emotions = EMOTIONS
    if classes is not None and set(classes) != set(CLASSES):
        emotions = {str(label): emotion for label, emotion in enumerate(classes)}
    return Contents(_entries(listing, tables[0], emotions), CLASSES)


def _entries(listing: Listing, name: str, emotions: Mapping[str, str]) -> Iterator[Entry]:
    """Yield the rows.

    Raises:
        UserError: If a column is missing or a cell is wrong; its text names the row.
    """
    position = "header"
    try:
        with listing.open(name) as binary:
            table = csv.reader(io.TextIOWrapper(binary, encoding="utf-8-sig", errors="replace", newline=""))
            header = [column.strip().lower() for column in next(table, [])]
            if not {"emotion", "pixels", "usage"} <= set(header):
                raise UserError(
                    f"{listing.path} has the columns {', '.join(header[:5])}, and faces are read by those of "
                    f"fer2013.csv: emotion, pixels, Usage. Pictures are put into folders: {TREE}"
                )
            if repeated := [column for column in ("emotion", "pixels", "usage") if header.count(column) > 1]:
                raise ValueError(f"column {repeated[0]} is there more than once")
            for number, cells in enumerate(filter(None, table), start=1):
                position = f"row {number}"
                row = dict(zip(header, map(str.strip, cells), strict=False))
                emotion, split = _look_up(emotions, "emotion", row), _look_up(USAGES, "usage", row)
                pixels = _parse_pixels(row.get("pixels", ""))
                yield Entry(f"{split}/{emotion}/csv_{number:05}", split, emotion, pixels)
    except (ValueError, csv.Error) as error:
        path = listing.path if listing.path.suffix.lower() == ".csv" else listing.path / name
        raise UserError(f"{path}, {position}: {error}. Correct or delete it, or fetch the file again.") from error


def _look_up(table: Mapping[str, str], column: str, row: Mapping[str, str]) -> str:
    value = row.get(column, "")
    if value.lower() not in table:
        raise ValueError(f"{column} {value!r:.40}, allowed: {', '.join(table)}")
    return table[value.lower()]


def _parse_pixels(text: str) -> np.ndarray:
    """Return the (48, 48) uint8 image of 2304 numbers, or raise a ValueError that names the first bad one."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # numpy only warns about text that is no number
            values = np.fromstring(text, dtype=np.int64, sep=" ")
    except (DeprecationWarning, ValueError):
        values = np.array([-1])
    if values.size == SIZE**2 and values.min() >= 0 and values.max() <= 255:
        return values.astype(np.uint8).reshape(SIZE, SIZE)
    pixels, greys = text.split(), set(map(str, range(256)))
    for pixel in pixels:
        if pixel not in greys:
            raise ValueError(f"pixel {pixel!r:.40}, allowed: 0 to 255")
    raise ValueError(f"{len(pixels)} pixels, allowed: {SIZE**2}")
