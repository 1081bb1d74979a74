"""FER+: the votes of ten people for each row of fer2013.csv, in the place of FER2013's labels."""

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fer_lightning.data.classes import class_of
from fer_lightning.data.decoding import USAGES
from fer_lightning.data.faces import CLASSES, Faces, fingerprint
from fer_lightning.errors import FILE, UserError, stands_at

VOTED = (*CLASSES, "contempt")
SEEN = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
# Column of the file -> the expression, in our spelling; nf: no face.
COLUMNS = {name: class_of(name, VOTED) for name in SEEN} | {"unknown": None, "nf": None}


class Vote(NamedTuple):
    """What people said of one row of fer2013.csv."""

    split: str
    winner: str | None  # one of ``VOTED``; None where no expression has more than half


def read_votes(votes: str) -> list[Vote]:
    """Return the votes of FER+'s ``fer2013new.csv``, one of each row of ``fer2013.csv``, in its order.

    A label that a single person gave does not count, and the winner has more than half of the votes that are left: the
    rule of majority voting in Barsoum et al. (arXiv:1608.01041), as its authors' code writes it.

    Args:
        votes: Path of the file: Usage, Image name, and the number of votes for each of eight expressions, for
            "unknown" and for "NF", no face.

    Raises:
        UserError: If it cannot be read, or a column or a number of it is wrong.
    """
    path, where = Path(votes), "header"
    if (kind := stands_at(path)) != FILE:
        raise UserError(f"data.votes={votes:.200} {kind}: give FER+'s fer2013new.csv")
    found: list[Vote] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.reader(file)
            header = [column.strip().lower() for column in next(table, [])]
            if missing := sorted({"usage", *COLUMNS} - set(header)):
                raise ValueError(f"no column {', '.join(missing)}")
            for cells in filter(None, table):
                where = f"row {len(found) + 1}"
                row = dict(zip(header, map(str.strip, cells), strict=False))
                found.append(Vote(USAGES[row["usage"].lower()], _winner({name: int(row[name]) for name in COLUMNS})))
    except OSError as error:
        raise UserError(
            f"data.votes={votes:.200} cannot be read ({error.strerror}): give FER+'s fer2013new.csv"
        ) from error
    except (ValueError, KeyError, csv.Error) as error:  # of a text, too, that is not in UTF-8
        why = f"{error} is missing or unknown" if isinstance(error, KeyError) else error
        raise UserError(
            f"data.votes={votes:.200}, {where}: {why}; give FER+'s fer2013new.csv, or fetch it again"
        ) from error
    return found


def _winner(votes: dict[str, int]) -> str | None:
    """Return the expression that has more than half of the votes, those of a single person left out."""
    counted = {name: count for name, count in votes.items() if count > 1}
    first = max(counted, key=counted.__getitem__, default="unknown")
    return COLUMNS[first] if 2 * counted.get(first, 0) > sum(counted.values()) else None


def relabel(faces: Faces, votes: str, classes: Sequence[str]) -> Faces:
    """Return the faces of fer2013.csv that people agreed on, with the winner of their votes as label.

    Args:
        faces: All rows of the csv, in its order.
        votes: Path of FER+'s file, as of ``read_votes``.
        classes: Names of classes, all of them among ``VOTED``; faces of the others are left out.

    Raises:
        UserError: If the votes are of other rows than the faces, or name no face of a class.
    """
    label_of = {class_of(name, VOTED): label for label, name in enumerate(classes)}
    if None in label_of:
        raise UserError(f"data.classes=[{','.join(classes)}] must be some of {', '.join(VOTED)} with data.votes")
    found = read_votes(votes)
    if not all(re.search(r"/csv_\d+$", name) for name in faces.names):
        raise UserError(f"data.votes={votes} labels the rows of fer2013.csv: give that file as data.root")
    if [vote.split for vote in found] != faces.splits.tolist():
        raise UserError(
            f"data.votes={votes} holds votes for {len(found):,} rows and {faces.source} has {len(faces):,} faces, or "
            "their Usage differs: use fer2013.csv with all its rows in their order"
        )
    labels = np.array([label_of.get(vote.winner, -1) for vote in found])
    rows = np.flatnonzero(labels >= 0)
    left_out = Counter(vote.winner for vote in found if vote.winner not in label_of)
    remarks = [
        f"Faces left out, since {f'people saw {name}' if name else 'no expression has most of the votes'}: {count:,}."
        for name, count in sorted(left_out.items(), key=str)
    ]
    images, splits, labels = faces.images[rows], faces.splits[rows], labels[rows]
    relabelled = replace(
        faces,
        images=images,
        labels=labels,
        names=np.array([f"{faces.splits[row]}/{found[row].winner}/csv_{row + 1:05}" for row in rows]),
        splits=splits,
        source=f"{faces.source} with FER+'s votes",
        fingerprint=fingerprint(images, labels, splits, tuple(classes)),
        remarks=(*faces.remarks, *remarks),
        classes=tuple(classes),
    )
    counts = relabelled.counts().items()
    if missing := [f"{split}/{classes[at]}" for split, of in counts for at, count in enumerate(of) if not count]:
        raise UserError(
            f"data.votes={votes} names no face of {', '.join(missing)}: leave that class out of data.classes"
        )
    return relabelled
