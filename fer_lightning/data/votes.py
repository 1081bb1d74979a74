"""FER+: the votes of ten people for each row of fer2013.csv, beside FER2013's labels or in their place."""

import csv
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fer_lightning.data.classes import class_of
from fer_lightning.data.contents import USAGES
from fer_lightning.data.crowd import join_answers
from fer_lightning.data.faces import CLASSES, Faces, fingerprint
from fer_lightning.data.published import contest_parts, no_contest
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


class Votes(NamedTuple):
    """Votes for the N rows of fer2013.csv."""

    splits: np.ndarray  # (N,) str
    counts: np.ndarray  # (N, 10) int64, people for each of ``COLUMNS``; the first eight columns are ``EXPRESSIONS``

    def winners(self) -> np.ndarray:
        """Return (N,) str, one of ``VOTED`` or ``LEFT_OUT`` for each row.

        An expression with a single vote does not count. The winner needs more than half of the remaining votes. This is
        the rule of majority voting in Barsoum et al. (arXiv:1608.01041), as in its authors' code.
        """
        counts = np.where(self.counts > 1, self.counts, 0)
        winners = np.array([*COLUMNS.values()])[counts.argmax(axis=1)]
        return np.where(2 * counts.max(axis=1) > counts.sum(axis=1), winners, "no majority")


def read_votes(votes: str, option: str = "data.votes") -> Votes:
    """Return the votes in FER+'s ``fer2013new.csv`` for the rows of ``fer2013.csv``, in the same order.

    Args:
        votes: Path of the file. Its columns are Usage, Image name, and the number of votes for each of eight
            expressions, for "unknown" and for "NF" (no face).
        option: Option that names the file, for messages.

    Raises:
        UserError: If the file cannot be read, or a column or number is wrong.
    """
    path, position = Path(votes), "header"
    if (kind := path_kind(path)) != FILE:
        raise UserError(f"{option}={votes:.200} {kind}: give FER+'s fer2013new.csv")
    splits: list[str] = []
    counts: list[list[int]] = []
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            table = csv.reader(file)
            header = [column.strip().lower() for column in next(table, [])]
            if missing := sorted({"usage", *COLUMNS} - set(header)):
                raise ValueError(f"no column {', '.join(missing)}")
            for cells in filter(None, table):
                position = f"row {len(splits) + 1}"
                row = dict(zip(header, map(str.strip, cells), strict=False))
                counts.append([int(row[name]) for name in COLUMNS])
                if not 0 <= min(counts[-1]) <= max(counts[-1]) < 1000:
                    raise ValueError("a number of votes is below 0 or above 999")
                splits.append(USAGES[row["usage"].lower()])
    except OSError as error:
        raise UserError(
            f"{option}={votes:.200} cannot be read ({error.strerror}): give FER+'s fer2013new.csv"
        ) from error
    except (ValueError, KeyError, csv.Error) as error:  # a ValueError may also mean that the text is no UTF-8
        problem = f"{error} is missing or unknown" if isinstance(error, KeyError) else error
        raise UserError(
            f"{option}={votes:.200}, {position}: {problem}; give FER+'s fer2013new.csv, or fetch it again"
        ) from error
    return Votes(np.array(splits, str), np.array(counts, np.int64).reshape(-1, len(COLUMNS)))


def shares(faces: Faces) -> np.ndarray:
    """Return the shares of the classes in the votes for them, (N, C) float32: all votes, and not their winner alone.

    This is the probability distribution of Barsoum et al. (arXiv:1608.01041, section 3.4), over the classes at hand.
    """
    assert faces.crowd is not None
    counts = faces.crowd[:, : len(faces.classes)]
    return (counts / counts.sum(axis=1, keepdims=True)).astype(np.float32)


def count_votes(faces: Faces, votes: str) -> Faces:
    """Return the faces with the people who gave each answer; the labels stay.

    Args:
        faces: All or some faces of fer2013.csv or of Kaggle's archive, with their rows.
        votes: Path of FER+'s file, as in ``read_votes``.

    Raises:
        UserError: If the votes and the faces have different rows or another order.
    """
    counts = _votes_on(faces, votes, "data.crowd").counts
    labels = [class_of(answer, faces.classes) for answer in COLUMNS]
    columns = [-1 if name is None else faces.classes.index(name) for name in labels]
    return replace(faces, crowd=join_answers(counts, columns, len(faces.classes)))


def _votes_on(faces: Faces, votes: str, option: str) -> Votes:
    """Return the votes on some faces of FER2013, in the order of the faces; refuse those on others."""
    if faces.rows is None:
        raise UserError(
            f"{option}={votes} holds votes for the rows of fer2013.csv, and {no_contest(faces)}: give that file or "
            "Kaggle's archive as data.root"
        )
    table = read_votes(votes, option)
    rows = faces.rows
    if rows.max() >= len(table.splits) or not np.array_equal(table.splits[rows], contest_parts(faces)):
        raise UserError(
            f"{option}={votes} holds votes for {len(table.splits):,} rows and {faces.source} has {len(faces):,} "
            "faces, or their Usage differs: use fer2013.csv with all its rows in their order, or Kaggle's archive"
        )
    table = Votes(table.splits[rows], table.counts[rows])
    winners = table.winners()
    comparable = np.isin(winners, faces.classes)
    agreement = (winners == np.array(faces.classes)[faces.labels])[comparable].mean() if comparable.any() else 1.0
    if agreement < MIN_AGREEMENT:
        raise UserError(
            f"{option}={votes} agrees with {faces.source} in {percent(agreement)} of the rows, less than "
            f"{percent(MIN_AGREEMENT, 0)}: their order differs; use fer2013.csv and fer2013new.csv as published"
        )
    return table


def relabel(faces: Faces, votes: str, classes: Sequence[str]) -> Faces:
    """Return the faces of FER2013 that have a winner of the votes, with the winner as label.

    Args:
        faces: All faces of fer2013.csv or of Kaggle's archive, with their rows.
        votes: Path of FER+'s file, as in ``read_votes``.
        classes: Names of classes in ``VOTED``; faces of other classes are left out.

    Raises:
        UserError: If the votes and the faces have different rows or another order, or a class has no face.
    """
    label_of = {class_of(name, VOTED): label for label, name in enumerate(classes)}
    if None in label_of:
        raise UserError(f"data.classes=[{','.join(classes)}] must be some of {', '.join(VOTED)} with data.votes")
    winners = _votes_on(faces, votes, "data.votes").winners()
    labels = np.array([label_of.get(winner, -1) for winner in winners])
    remarks = []
    for winner, count in sorted(Counter(winners[labels < 0]).items()):
        cause = LEFT_OUT.get(winner, f"people saw {winner}")
        remarks.append(f"Faces left out, since {cause}: {count:,}.")
    names = faces.names.copy()
    if faces.names[0].rpartition("/")[2].startswith("csv_"):  # such a name has the label in it, and is no path
        names = np.array([f"{faces.splits[row]}/{winner}/csv_{row + 1:05}" for row, winner in enumerate(winners)])
    relabelled = replace(
        faces,
        labels=labels,
        names=names,
        source=f"{faces.source} with FER+'s votes",
        remarks=(*faces.remarks, *remarks),
        classes=tuple(classes),
    ).subset(np.flatnonzero(labels >= 0))
    missing = []
    for split, counts in relabelled.counts().items():
        missing += [f"{split}/{name}" for name, count in zip(classes, counts, strict=True) if not count]
    if missing:
        raise UserError(
            f"data.votes={votes} names no face of {', '.join(missing)}: leave that class out of data.classes"
        )
    digest = fingerprint(relabelled.images, relabelled.labels, relabelled.splits, relabelled.classes)
    return replace(relabelled, fingerprint=digest)
