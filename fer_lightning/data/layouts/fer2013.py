"""FER2013's csv: a row for each face, with its number of the class, its pixels and its part of the contest."""

import csv
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path, PurePosixPath

import numpy as np

from fer_lightning.data.faces import CLASSES, USAGES
from fer_lightning.data.layouts import Contents, Entry
from fer_lightning.data.listing import TREE, Listing, is_picture, remark
from fer_lightning.errors import UserError

FILES = ("fer2013.csv", "icml_face_data.csv")
CONTEST = ("train.csv", "test.csv")  # the contest's first rows, and others without labels
SIZE = 48  # pixels, height and width of the faces
EMOTIONS = dict(zip("0123456", ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"), strict=True))


def find(listing: Listing, classes: Sequence[str] | None) -> Contents | None:
    """Return the rows of ``fer2013.csv``, of the contest's csv or of the csv that is the source itself."""
    names = [(PurePosixPath(name).name.lower(), name) for name in sorted(listing.names)]
    tables = [name for file, name in names if file in FILES]
    tables += [
        name for table in CONTEST for file, name in names if file == table and "pixels" in _header(listing, name)
    ]
    if listing.path.suffix.lower() == ".csv":
        tables = listing.names
    if not tables:
        return None
    if pictures := [name for name in listing.names if is_picture(name)]:
        listing.remarks.update(remark(f"Pictures beside {tables[0]} ignored", pictures))
    emotions = EMOTIONS
    if classes is not None and set(classes) != set(CLASSES):
        emotions = {str(label): emotion for label, emotion in enumerate(classes)}
    return Contents(_entries(listing, tables[0], emotions), CLASSES)


def _header(listing: Listing, name: str) -> list[str]:
    with listing.open_text(name) as file:
        return [column.strip().lower() for column in file.readline(2**12).split(",")]


def _entries(listing: Listing, name: str, emotions: Mapping[str, str]) -> Iterator[Entry]:
    """Yield the rows; without a column Usage they have no split.

    Raises:
        UserError: If a column is missing or a cell is wrong; its text names the row.
    """
    position = "header"
    try:
        with listing.open_text(name, errors="replace") as file:
            table = csv.reader(file)
            header = [column.strip().lower() for column in next(table, [])]
            if not {"emotion", "pixels"} <= set(header):
                columns = ", ".join(f"{column:.20}" for column in header[:5])
                raise UserError(f"{listing.path} has the columns {columns}, and {_remedy(listing.path, header)}")
            if repeated := [column for column in ("emotion", "pixels", "usage") if header.count(column) > 1]:
                raise ValueError(f"column {repeated[0]} is there more than once")
            for number, cells in enumerate(filter(None, table), start=1):
                position = f"row {number}"
                row = dict(zip(header, map(str.strip, cells), strict=False))
                emotion = _look_up(emotions, "emotion", row)
                split = _look_up(USAGES, "usage", row) if "usage" in header else ""
                pixels = _parse_pixels(row.get("pixels", ""))
                parts = (split, emotion, f"csv_{number:05}")
                yield Entry("/".join(filter(None, parts)), split, emotion, pixels)
    except (ValueError, csv.Error) as error:
        path = listing.path if listing.path.suffix.lower() == ".csv" else listing.path / name
        raise UserError(f"{path}, {position}: {error}. Correct or delete it, or fetch the file again.") from error


def _remedy(path: Path, header: list[str]) -> str:
    """Return the remedy for a csv without FER2013's columns, as the end of a sentence."""
    if header == ["pixels"]:
        return "no labels: the contest's icml_face_data.csv, or its train.csv, has them"
    if "nf" in header:
        return f"they are votes of FER+: data.root=fer2013.csv data.votes={path}"
    return (
        "faces are read by those of fer2013.csv: emotion, pixels, Usage. Pictures are listed by "
        f"data.labels={path} beside data.root=<their folder>, or put into folders: {TREE}"
    )


def _look_up(table: Mapping[str, str], column: str, row: Mapping[str, str]) -> str:
    value = row.get(column, "")
    if value.lower() not in table:
        others = "; data.classes=[...] names other numbers from 0 on" if column == "emotion" else ""
        raise ValueError(f"{column} {value!r:.40}, allowed: {', '.join(table)}{others}")
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
