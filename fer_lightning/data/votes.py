"""FER+: the votes of ten people for each row of fer2013.csv, which replace FER2013's labels."""

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fer_lightning.data.classes import class_of
from fer_lightning.data.contents import USAGES
from fer_lightning.data.faces import CLASSES, Faces, fingerprint
from fer_lightning.errors import FILE, UserError, path_kind
from fer_lightning.words import percent

VOTED = (*CLASSES, "contempt")
EXPRESSIONS = ("neutral", "happiness", "surprise", "sadness", "anger", "disgust", "fear", "contempt")
# Result of the votes that is no expression -> why such a face is left out.
LEFT_OUT = {
    "no majority": "no expression has most of the votes",
    "unknown": "most people could not name the expression",
    "no face": "most people saw no face",
}
# Column of the file -> one of ``VOTED`` or ``LEFT_OUT``.
COLUMNS = {name: str(class_of(name, VOTED)) for name in EXPRESSIONS} | {"unknown": "unknown", "nf": "no face"}
MIN_AGREEMENT = 0.4  # of the winners with the labels of the csv: 65 to 72 % in FER2013, 18 % for rows in another order


class Vote(NamedTuple):
    """Result of the votes for one row of fer2013.csv."""

    split: str
    winner: str  # one of ``VOTED`` or ``LEFT_OUT``


def read_votes(votes: str) -> list[Vote]:
    """Return the votes in FER+'s ``fer2013new.csv`` for the rows of ``fer2013.csv``, in the same order.

    An expression with a single vote does not count. The winner needs more than half of the remaining votes. This is the
    rule of majority voting in Barsoum et al. (arXiv:1608.01041), as in its authors' code.

    Args:
        votes: Path of the file. Its columns are Usage, Image name, and the number of votes for each of eight
            expressions, for "unknown" and for "NF" (no face).

    Raises:
        UserError: If the file cannot be read, or a column or number is wrong.
    """
    path, position = Path(votes), "header"
    if (kind := path_kind(path)) != FILE:
        raise UserError(f"data.votes={votes:.200} {kind}: give FER+'s fer2013new.csv")
    winners: list[Vote] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.reader(file)
            header = [column.strip().lower() for column in next(table, [])]
            if missing := sorted({"usage", *COLUMNS} - set(header)):
                raise ValueError(f"no column {', '.join(missing)}")
            for cells in filter(None, table):
                position = f"row {len(winners) + 1}"
                row = dict(zip(header, map(str.strip, cells), strict=False))
                winner = _winner({name: int(row[name]) for name in COLUMNS})
                winners.append(Vote(USAGES[row["usage"].lower()], winner))
    except OSError as error:
        raise UserError(
            f"data.votes={votes:.200} cannot be read ({error.strerror}): give FER+'s fer2013new.csv"
        ) from error
    except (ValueError, KeyError, csv.Error) as error:  # a ValueError may also mean that the text is no UTF-8
        problem = f"{error} is missing or unknown" if isinstance(error, KeyError) else error
        raise UserError(
            f"data.votes={votes:.200}, {position}: {problem}; give FER+'s fer2013new.csv, or fetch it again"
        ) from error
    return winners


def _winner(votes: dict[str, int]) -> str:
    """Return the winner: it has more than half of the votes, without expressions that have a single vote."""
    counted = {name: count for name, count in votes.items() if count > 1}
    first = max(counted, key=counted.__getitem__, default="unknown")
    return COLUMNS[first] if 2 * counted.get(first, 0) > sum(counted.values()) else "no majority"


def relabel(faces: Faces, votes: str, classes: Sequence[str]) -> Faces:
    """Return the faces of fer2013.csv that have a winner of the votes, with the winner as label.

    Args:
        faces: All rows of the csv, in its order.
        votes: Path of FER+'s file, as in ``read_votes``.
        classes: Names of classes in ``VOTED``; faces of other classes are left out.

    Raises:
        UserError: If the votes and the faces have different rows or another order, or a class has no face.
    """
    label_of = {class_of(name, VOTED): label for label, name in enumerate(classes)}
    if None in label_of:
        raise UserError(f"data.classes=[{','.join(classes)}] must be some of {', '.join(VOTED)} with data.votes")
    winners = read_votes(votes)
    if not all(re.search(r"/csv_\d+$", name) for name in faces.names):
        raise UserError(f"data.votes={votes} labels the rows of fer2013.csv: give that file as data.root")
    if [vote.split for vote in winners] != faces.splits.tolist():
        raise UserError(
            f"data.votes={votes} holds votes for {len(winners):,} rows and {faces.source} has {len(faces):,} faces, or "
            "their Usage differs: use fer2013.csv with all its rows in their order"
        )
    pairs = [(faces.classes[label], vote.winner) for label, vote in zip(faces.labels, winners, strict=True)]
    comparable = [label == winner for label, winner in pairs if winner in faces.classes]
    agreement = sum(comparable) / max(1, len(comparable))
    if comparable and agreement < MIN_AGREEMENT:
        raise UserError(
            f"data.votes={votes} agrees with {faces.source} in {percent(agreement)} of the rows, less than "
            f"{percent(MIN_AGREEMENT, 0)}: their order differs; use fer2013.csv and fer2013new.csv as published"
        )
    labels = np.array([label_of.get(vote.winner, -1) for vote in winners])
    rows = np.flatnonzero(labels >= 0)
    left_out = Counter(vote.winner for vote in winners if vote.winner not in label_of)
    remarks = []
    for winner, count in sorted(left_out.items()):
        cause = LEFT_OUT.get(winner, f"people saw {winner}")
        remarks.append(f"Faces left out, since {cause}: {count:,}.")
    images, splits, labels = faces.images[rows], faces.splits[rows], labels[rows]
    relabelled = replace(
        faces,
        images=images,
        labels=labels,
        names=np.array([f"{faces.splits[row]}/{winners[row].winner}/csv_{row + 1:05}" for row in rows]),
        splits=splits,
        source=f"{faces.source} with FER+'s votes",
        fingerprint=fingerprint(images, labels, splits, tuple(classes)),
        remarks=(*faces.remarks, *remarks),
        classes=tuple(classes),
    )
    missing = []
    for split, counts in relabelled.counts().items():
        missing += [f"{split}/{name}" for name, count in zip(classes, counts, strict=True) if not count]
    if missing:
        raise UserError(
            f"data.votes={votes} names no face of {', '.join(missing)}: leave that class out of data.classes"
        )
    return relabelled
