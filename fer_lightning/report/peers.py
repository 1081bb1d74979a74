"""Predictions that were made elsewhere: a csv with the class of each face, and probabilities where there are some."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fer_lightning.data.classes import class_of
from fer_lightning.data.facts import Facts, read_facts
from fer_lightning.data.published import contest_rows
from fer_lightning.errors import UserError
from fer_lightning.report.statistics import standard_error
from fer_lightning.runs.record import Run
from fer_lightning.words import percent

PREDICTIONS = ("prediction", "predicted", "predicted_label", "pred", "class", "expression", "emotion")
PREFIX = re.compile(r"^(votes?|p|prob|proba|probability|score)[_ ]")  # of a column of probabilities
FEWEST = 30  # training faces that tell whether a network has learnt them by heart
SURE = 1.96  # standard errors of a difference that is more than chance, once in twenty


class Peer(NamedTuple):
    """The predictions of a network that was trained elsewhere, for the N faces of a table.

    Attributes:
        predictions: (N,) int64, classes; -1 for a face without a prediction.
        votes: (N,) float, the probabilities of these predictions; None without probabilities.
        shares: (N, C) float, those of all classes; None where they are not in the csv.
        unknown: Lines of the csv about faces that are not in the table.
    """

    predictions: np.ndarray
    votes: np.ndarray | None
    shares: np.ndarray | None
    unknown: int

    def answered(self, rows: np.ndarray) -> np.ndarray:
        """Return those of some rows of the table that have a prediction."""
        return rows[self.predictions[rows] >= 0]


def read_peer(
    path: str, classes: Sequence[str], names: Sequence[str], rows: np.ndarray | None, option: str = "predictions"
) -> Peer:
    """Return the predictions in a csv. Lines without a class are left out, and its probabilities sum to 1 for a face.

    Args:
        path: Path of the csv: its columns are a face (see ``read_facts``) and a class, or a probability of each class.
        classes: Names of the classes; the csv may use their other spellings.
        names: Name of each face of the table.
        rows: (N,) int64, its row in fer2013.csv; None if it is not known.
        option: As in ``read_facts``.

    Raises:
        UserError: If the csv cannot be read, has no predictions, or names an unknown class.
    """
    facts = read_facts(path, option)
    labels, votes, shares = _answers(facts, classes)
    positions = facts.find(names, rows)
    matched = np.flatnonzero(positions >= 0)
    lines = np.full(len(names), -1)  # of each face
    lines[positions[matched]] = matched
    predictions = np.where(lines >= 0, labels[lines], -1)
    if predictions.max() < 0:
        raise UserError(f"{facts.option} predicts no class of a face: fill its column of classes")
    votes, shares = (None if column is None else column[lines] for column in (votes, shares))
    return Peer(predictions, votes, shares, len(positions) - len(matched))


def beside(path: Path, run: Run) -> tuple[Run, Run]:
    """Return the csv as a run, and the run cut to the test faces that the csv answers.

    Raises:
        UserError: As ``read_peer``.
    """
    names = run.predictions["file"]
    labels = read_peer(str(path), run.classes, names.tolist(), contest_rows(names), option="").predictions
    peer, answered = Run(path), Run(run.folder, run.record)
    columns = {name: column[labels >= 0] for name, column in run.predictions.items()}
    vars(answered)["predictions"] = columns  # in place of the file's
    vars(peer)["predictions"] = {**columns, "prediction": np.array(run.classes)[labels[labels >= 0]]}
    return peer, answered


def _answers(facts: Facts, classes: Sequence[str]) -> tuple[np.ndarray, np.ndarray | None, np.ndarray | None]:
    """Return the class of each line, -1 for none, its probability and those of all classes; None without these."""
    column = next((name for name in PREDICTIONS if name in facts.columns), None)
    by_class = {class_of(PREFIX.sub("", name), classes): cells for name, cells in facts.columns.items()}
    by_class.pop(None, None)
    if column is None and len(by_class) < 2:
        raise UserError(
            f"{facts.option} has the columns {', '.join(facts.columns) or 'of its faces alone'}: call that of the "
            "class prediction, or give a probability of each class in a column of its name"
        )
    shares = np.zeros((len(facts.lines), len(classes)))
    for name, cells in by_class.items():
        shares[:, classes.index(str(name))] = _numbers(facts, cells)
    if column is None:
        labels = np.where(shares.sum(axis=1) > 0, shares.argmax(axis=1), -1)
    else:
        labels = np.array([
            _label(facts, line, cell, classes) for line, cell in zip(facts.lines, facts.columns[column], strict=True)
        ], dtype=np.int64)  # fmt: skip
    every = np.arange(len(labels))
    if len(by_class) > 1:
        sums = shares.sum(axis=1, keepdims=True)
        shares /= np.where(sums > 0, sums, 1)
        return labels, shares[every, labels], shares
    if "vote" in facts.columns:
        return labels, _numbers(facts, facts.columns["vote"]), None
    return labels, None, None


def _label(facts: Facts, line: int, cell: str, classes: Sequence[str]) -> int:
    name = class_of(cell, classes)
    if cell and name is None:
        raise UserError(
            f"{facts.option}, line {line}: {cell!r:.40} is none of the classes {', '.join(classes)}: write one of "
            "these, or delete the line"
        )
    return -1 if name is None else classes.index(name)


def _numbers(facts: Facts, cells: Sequence[str]) -> np.ndarray:
    for line, cell in zip(facts.lines, cells, strict=True):
        try:
            valid = 0 <= float(cell or 0) <= 1
        except ValueError:
            valid = False
        if not valid:
            raise UserError(
                f"{facts.option}, line {line}: {cell!r:.40} is no probability from 0 to 1: correct it, or delete the "
                "columns of probabilities"
            )
    return np.array([float(cell or 0) for cell in cells])


def has_seen(training: np.ndarray, held_out: np.ndarray) -> str | None:
    """Return a sentence where training faces score no better than held-out ones; None if they do, or are too few.

    Args:
        training: (B,) bool, whether each training face is right.
        held_out: (B,) bool, the same of held-out faces.
    """
    if min(len(training), len(held_out)) < FEWEST:
        return None
    learnt, new = float(training.mean()), float(held_out.mean())
    error = np.hypot(standard_error(learnt, len(training)), standard_error(new, len(held_out)))
    if learnt - new > SURE * error:
        return None
    return (
        f"has probably trained on the held-out faces too: right on {percent(new)} of {len(held_out):,} held-out and "
        f"{percent(learnt)} of {len(training):,} training faces. Or it was trained on neither"
    )
