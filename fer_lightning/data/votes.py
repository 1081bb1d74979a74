"""FER+: the votes of ten people for each row of fer2013.csv, beside FER2013's labels or in their place."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from fer_lightning.data.classes import class_of
from fer_lightning.data.crowd import join_answers
from fer_lightning.data.faces import CLASSES, USAGES, Faces
from fer_lightning.data.published import contest_parts, no_contest
from fer_lightning.data.rows import read_rows
from fer_lightning.errors import UserError
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


def winners(counts: np.ndarray) -> np.ndarray:
    """Return (N,) str, one of ``VOTED`` or ``LEFT_OUT`` for each row of counts (N, 10) by ``COLUMNS``.

    An expression with a single vote does not count. The winner needs more than half of the remaining votes. This is the
    rule of majority voting in Barsoum et al. (arXiv:1608.01041), as in its authors' code.
    """
    counts = np.where(counts > 1, counts, 0)
    names = np.array([*COLUMNS.values()])[counts.argmax(axis=1)]
    return np.where(2 * counts.max(axis=1) > counts.sum(axis=1), names, "no majority")


def read_votes(votes: str, option: str = "data.votes") -> tuple[np.ndarray, np.ndarray]:
    """Return the votes in FER+'s ``fer2013new.csv`` for the rows of ``fer2013.csv``, in the same order.

    Args:
        votes: Path of the file. Its columns are Usage, Image name, and the number of votes for each of eight
            expressions, for "unknown" and for "NF" (no face).
        option: Option that names the file, for messages.

    Returns:
        (N,) str, the split of each row, and (N, 10) int64, the people for each of ``COLUMNS``.

    Raises:
        UserError: If the file cannot be read, or a column or number is wrong.
    """
    option, position = f"{option}={votes:.200}", "header"
    (_, titles), *rows = list(read_rows(votes, option, "give FER+'s fer2013new.csv")) or [(1, [])]
    header = [title.lower() for title in titles]
    splits: list[str] = []
    counts: list[list[int]] = []
    try:
        if missing := sorted({"usage", *COLUMNS} - set(header)):
            raise ValueError(f"no column {', '.join(missing)}")
        for number, (_, cells) in enumerate(rows, start=1):
            position = f"row {number}"
            row = dict(zip(header, cells, strict=False))
            counts.append([int(row[name]) for name in COLUMNS])
            if not 0 <= min(counts[-1]) <= max(counts[-1]) < 1000:
                raise ValueError("a number of votes is below 0 or above 999")
            splits.append(USAGES[row["usage"].lower()])
    except (ValueError, KeyError) as error:
        problem = f"{error} is missing or unknown" if isinstance(error, KeyError) else error
        raise UserError(f"{option}, {position}: {problem}; give FER+'s fer2013new.csv, or fetch it again") from error
    return np.array(splits, str), np.array(counts, np.int64).reshape(-1, len(COLUMNS))


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
    return replace(faces, crowd=_crowd(_votes_on(faces, votes, "data.crowd"), faces.classes))


def _crowd(counts: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    labels = [class_of(answer, classes) for answer in COLUMNS]
    columns = [-1 if name is None else classes.index(name) for name in labels]
    return join_answers(counts, columns, len(classes))


def _votes_on(faces: Faces, votes: str, option: str) -> np.ndarray:
    """Return the votes (N, 10) on some faces of FER2013, in the order of the faces; refuse those on others."""
    if faces.rows is None:
        raise UserError(
            f"{option}={votes} holds votes for the rows of fer2013.csv, and {no_contest(faces)}: give that file or "
            "Kaggle's archive as data.root"
        )
    splits, counts = read_votes(votes, option)
    if faces.rows.max() >= len(splits) or not np.array_equal(splits[faces.rows], contest_parts(faces)):
        raise UserError(
            f"{option}={votes} holds votes for {len(splits):,} rows and {faces.source} has {len(faces):,} faces, or "
            "their Usage differs: use fer2013.csv with all its rows in their order, or Kaggle's archive"
        )
    counts = counts[faces.rows]
    answers = winners(counts)
    comparable = np.isin(answers, faces.classes)
    agreement = (answers == np.array(faces.classes)[faces.labels])[comparable].mean() if comparable.any() else 1.0
    if agreement < MIN_AGREEMENT:
        raise UserError(
            f"{option}={votes} agrees with {faces.source} in {percent(agreement)} of the rows, less than "
            f"{percent(MIN_AGREEMENT, 0)}: their order differs; use fer2013.csv and fer2013new.csv as published"
        )
    return counts


def relabel(faces: Faces, votes: str, classes: Sequence[str]) -> Faces:
    """Return the faces of FER2013 that have a winner of the votes, with the winner as label, and with all votes.

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
    counts = _votes_on(faces, votes, "data.votes")
    answers = winners(counts)
    labels = np.array([label_of.get(answer, -1) for answer in answers])
    remarks = []
    for answer, number in sorted(Counter(answers[labels < 0]).items()):
        remarks.append(f"Faces left out, since {LEFT_OUT.get(answer, f'people saw {answer}')}: {number:,}.")
    names = faces.names.copy()
    if faces.names[0].rpartition("/")[2].startswith("csv_"):  # such a name has the label in it, and is no path
        names = np.array([f"{faces.splits[row]}/{answer}/csv_{row + 1:05}" for row, answer in enumerate(answers)])
    relabelled = faces.relabelled(
        labels,
        tuple(classes),
        names=names,
        source=f"{faces.source} with FER+'s votes",
        remarks=(*faces.remarks, *remarks),
        crowd=_crowd(counts, classes),
    )
    missing = []
    for split, numbers in relabelled.counts().items():
        missing += [f"{split}/{name}" for name, number in zip(classes, numbers, strict=True) if not number]
    if missing:
        raise UserError(
            f"data.votes={votes} names no face of {', '.join(missing)}: leave that class out of data.classes"
        )
    return relabelled
