"""Named pictures, or the rows of a csv -> rows of faces, what could not be read, and what was put right."""

import csv
import io
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from PIL import Image

from fer_lightning.data.decoding import EMOTIONS, read_picture, read_row, reason
from fer_lightning.data.faces import CLASSES
from fer_lightning.data.listing import Files, Remarks
from fer_lightning.data.progress import track
from fer_lightning.data.tree import describe
from fer_lightning.errors import UserError


class Row(NamedTuple):
    """One face that was read."""

    name: str
    split: str
    label: int  # position among the classes
    image: np.ndarray  # (H, W) uint8


class Scan(NamedTuple):
    """What a reader makes of a source."""

    rows: list[Row]
    unreadable: list[tuple[str, str]]  # name and reason
    remarks: Remarks


def read_pictures(
    path: Path, names: list[str], files: Files, remarks: Remarks, image_size: int, classes: tuple[str, ...]
) -> Scan:
    """Return what the named pictures show."""
    scan = Scan([], [], remarks)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's warnings of odd metadata
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        for name in track(names, f"reading {path.name}"):
            short_name, split, label, changed_name = describe(name, classes)
            try:
                with files[name]() as file:
                    image, changes = read_picture(file, image_size)
            except Exception as error:  # decoders raise almost anything on damaged files
                scan.unreadable.append((short_name, reason(error)))
                continue
            remarks.update(changed_name + changes)
            scan.rows.append(Row(short_name, split, classes.index(label), image))
    return scan


def read_csv(
    path: Path, opener: Callable[[], IO[bytes]], remarks: Remarks, image_size: int, classes: tuple[str, ...]
) -> Scan:
    """Return what the rows of FER2013's csv show: emotion, pixels, Usage."""
    scan, number = Scan([], [], remarks), 0
    emotions = EMOTIONS if set(classes) == set(CLASSES) else {str(at): name for at, name in enumerate(classes)}
    try:
        with opener() as binary, warnings.catch_warnings():
            warnings.simplefilter("error")  # fromstring warns where the text is not all numbers
            table = csv.reader(io.TextIOWrapper(binary, encoding="utf-8-sig", errors="replace", newline=""))
            header = [column.strip().lower() for column in next(table, [])]
            if not {"emotion", "pixels", "usage"} <= set(header):
                raise ValueError(f"columns {header}, needed: emotion, pixels, Usage")
            if repeated := [name for name in ("emotion", "pixels", "usage") if header.count(name) > 1]:
                raise ValueError(f"column {repeated[0]} stands there more than once")
            for number, cells in enumerate(filter(None, table), start=1):
                row = dict(zip(header, map(str.strip, cells), strict=False))
                emotion, split, image, changes = read_row(row, image_size, emotions)
                remarks.update(changes)
                scan.rows.append(Row(f"{split}/{emotion}/csv_{number:05}", split, classes.index(emotion), image))
    except (ValueError, csv.Error) as error:
        where = f"row {number}" if number else "header"
        raise UserError(f"{path}, {where}: {error}. Mend or delete it, or fetch the file again.") from error
    return scan
