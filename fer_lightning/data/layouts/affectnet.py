"""AffectNet: ``train_set/images/1.jpg`` with ``train_set/annotations/1_exp.npy``, or its lists training.csv."""

import csv
import io
from collections.abc import Iterator, Sequence
from pathlib import PurePosixPath

import numpy as np

from fer_lightning.data.faces import SPLITS_BY_NAME
from fer_lightning.data.layouts import Contents, Entry
from fer_lightning.data.listing import Listing, is_picture, remark
from fer_lightning.data.lists import Row, find_pictures, without_copies
from fer_lightning.data.votes import VOTED
from fer_lightning.errors import UserError
from fer_lightning.names import write_name

NUMBERS = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "angry", "contempt")
NO_EXPRESSION = ("8", "9", "10")  # none, uncertain, no face
SETS = SPLITS_BY_NAME | {"train_set": "train", "val_set": "validation", "test_set": "test"}
LISTS = {"training.csv": "train", "validation.csv": "validation"}
FIRST_COLUMN, LABEL_COLUMN = "subdirectory_filepath", 6  # the second is that of validation.csv, which has no header
MAX_BYTES = 1024  # of an annotation; a number needs 132


def find(listing: Listing, classes: Sequence[str] | None) -> Contents | None:
    """Return the pictures with annotations, sorted by name; without annotations those of the lists."""
    missing: list[tuple[str, str]] = []
    if any(name.endswith(".npy") and PurePosixPath(name).parent.name == "annotations" for name in listing.names):
        listing.tables.update(name for name in listing.names if PurePosixPath(name).parent.name == "annotations")
        total = sum(map(is_picture, listing.names))
        return Contents(_annotated(listing, missing), VOTED, "label", missing, total)
    tables = [name for name in sorted(listing.names) if PurePosixPath(name).name.lower() in LISTS]
    if any(_first_cell(listing, table) == FIRST_COLUMN for table in tables):
        return Contents(_listed(listing, tables, missing), VOTED, "label", missing)
    return None


def _annotated(listing: Listing, missing: list[tuple[str, str]]) -> Iterator[Entry]:
    """Yield the pictures that have a label in a file of their own; these are opened here, one after the other."""
    names, without = set(listing.names), list[str]()
    for name in sorted(filter(is_picture, listing.names)):
        path = PurePosixPath(name)
        folder = path.parent.parent  # of images/ and annotations/
        annotation = str(folder / "annotations" / f"{path.stem}_exp.npy")
        if annotation not in names:
            missing.append((write_name(name), f"no annotations/{path.stem}_exp.npy"))
            continue
        try:
            with listing.open(annotation) as file:
                label = str(np.load(io.BytesIO(file.read(MAX_BYTES)), allow_pickle=False).item()).strip()
        except Exception as error:  # numpy raises almost anything on damaged files
            missing.append((write_name(annotation), str(error).partition("\n")[0] or type(error).__name__))
            continue
        if label in NO_EXPRESSION:
            without.append(name)
        else:
            split = SETS.get((folder.name or listing.path.name).lower(), "")
            yield Entry(write_name(name), split, _class_of(listing, annotation, label), name)
    listing.remarks.update(remark("Faces left out, since AffectNet gives them no expression", without))


def _listed(listing: Listing, tables: Sequence[str], missing: list[tuple[str, str]]) -> Iterator[Entry]:
    """Yield the pictures of AffectNet's own lists, sorted by name."""
    without, entries = list[str](), list[Entry]()
    for table in tables:
        split = LISTS[PurePosixPath(table).name.lower()]
        for row, picture in find_pictures(listing, str(listing.path / table), _rows(listing, table)):
            if row.label in NO_EXPRESSION:
                without.append(row.file)
            elif picture is None:
                missing.append((write_name(row.file), "not there"))
            else:
                entries.append(Entry(write_name(picture), split, _class_of(listing, table, row.label), picture))
    listing.remarks.update(remark("Faces left out, since AffectNet gives them no expression", without))
    others = set(filter(is_picture, listing.names)) - {entry.picture for entry in entries}
    listing.remarks.update(remark("Pictures that are not in the list ignored", list(others)))
    yield from without_copies(str(listing.path / tables[0]), sorted(entries))


def _rows(listing: Listing, table: str) -> Iterator[Row]:
    """Yield the rows of a list."""
    column = LABEL_COLUMN
    try:
        with listing.open_text(table) as file:
            for cells in csv.reader(file):
                header = [cell.strip().lower() for cell in cells]
                if header[:1] == [FIRST_COLUMN] and "expression" in header:
                    column = header.index("expression")
                elif len(cells) > column:
                    yield Row(cells[0], cells[column].strip())
    except csv.Error as error:
        raise UserError(f"{listing.path / table}: {error}; fetch the list again") from error


def _class_of(listing: Listing, file: str, label: str) -> str:
    """Return the class of a number; refuse what is none of AffectNet's."""
    if label not in map(str, range(len(NUMBERS))):
        raise UserError(
            f"{listing.path / file} has the label {label!r:.40}, and AffectNet's are 0 (neutral) to 10 (no face): give "
            "data.labels=list.csv with labels of your own"
        )
    return NUMBERS[int(label)]


def _first_cell(listing: Listing, name: str) -> str:
    with listing.open_text(name) as file:
        return file.readline(2**12).partition(",")[0].strip().lower()
