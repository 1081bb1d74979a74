"""FER+ as its authors' program writes it: ``FER2013Train/fer0000000.png`` with the votes in ``label.csv``."""

import csv
from collections.abc import Sequence
from pathlib import PurePosixPath

import numpy as np

from fer_lightning.data.layouts import Contents, Entry
from fer_lightning.data.listing import Listing, is_picture, remark
from fer_lightning.data.votes import COLUMNS, LEFT_OUT, VOTED, winners
from fer_lightning.errors import UserError
from fer_lightning.names import write_name

SPLITS = {"fer2013train": "train", "fer2013valid": "validation", "fer2013test": "test"}
LIST = "label.csv"


def find(listing: Listing, classes: Sequence[str] | None) -> Contents | None:
    """Return the pictures whose votes have a winner, sorted by name."""
    paths = (PurePosixPath(name) for name in sorted(listing.names))
    lists = [path for path in paths if path.name == LIST and path.parent.name.lower() in SPLITS]
    if not lists:
        return None
    pictures = {name for name in listing.names if is_picture(name)}
    entries, missing = list[Entry](), list[tuple[str, str]]()
    left_out: dict[str, list[str]] = {}
    for path in lists:
        names, counts = _read(listing, str(path))
        for name, winner in zip(names, winners(counts), strict=True):
            picture = str(path.parent / name)
            if winner in LEFT_OUT:
                left_out.setdefault(LEFT_OUT[winner], []).append(picture)
            elif picture not in pictures:
                missing.append((write_name(picture), "not there"))
                continue
            else:
                split = SPLITS[path.parent.name.lower()]
                entries.append(Entry(write_name(picture), split, str(winner), picture))
            pictures.discard(picture)
    for cause, names in left_out.items():
        listing.remarks.update(remark(f"Faces left out, since {cause}", names))
    listing.remarks.update(remark("Pictures that are not in the list ignored", list(pictures)))
    return Contents(sorted(entries), VOTED, "label", missing)


def _read(listing: Listing, table: str) -> tuple[list[str], np.ndarray]:
    """Return the files of a table and their votes (N, 10).

    Raises:
        UserError: If a row has no file, no box or not ten numbers; its text names the row.
    """
    names, counts = list[str](), list[list[int]]()
    try:
        with listing.open_text(table) as file:
            for cells in filter(None, csv.reader(file)):
                votes = [int(cell) for cell in cells[2:]]
                if len(votes) != len(COLUMNS):
                    raise ValueError(f"{len(votes)} numbers of votes, and FER+ has {len(COLUMNS)}")
                names.append(cells[0])
                counts.append(votes)
    except (ValueError, csv.Error) as error:
        raise UserError(
            f"{listing.path / table}, row {len(names) + 1}: {error}; write it anew by generate_training_data.py of FER+"
        ) from error
    return names, np.array(counts, np.int64).reshape(-1, len(COLUMNS))
