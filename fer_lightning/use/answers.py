"""Answers of a backend about faces, and how far two backends agree."""

from typing import NamedTuple, Protocol

import numpy as np

BATCH = 32  # faces per batch by default: they fit the cache of a core; with 128 each face takes 1.7 times as long
TOLERANCE = 1e-4  # difference of a vote up to which two votes count as equal
SLACK = 1e-3  # how far a value may lie outside its range, by rounding
TIE = 2**-18  # difference of similarities up to which two backends may order neighbours differently, by rounding


class Answers(NamedTuple):
    """Answers about N faces. The last three are None if the classifier has no neighbours."""

    labels: np.ndarray  # (N,) int64
    votes: np.ndarray  # (N, C) float32, shares of the vote; a Model makes them probabilities
    embeddings: np.ndarray  # (N, D) float32, norm 1
    neighbours: np.ndarray | None = None  # (N, K) int64, rows of the gallery, nearest first
    similarities: np.ndarray | None = None  # (N, K) float64, cosine
    neighbour_labels: np.ndarray | None = None  # (N, K) int64


class Backend(Protocol):
    """A network in torch, or an ONNX model."""

    def answer(self, faces: np.ndarray, batch_size: int = BATCH) -> Answers:
        """Return the answers about faces (N, H, W) uint8; ``batch_size`` of them are computed at once."""


def defect(answers: Answers, faces: int, classes: int) -> str | None:
    """Return the first fault of the answers, or None.

    Args:
        answers: They may come from a stranger's model: of any shape and type.
        faces: Number N of faces.
        classes: Number C of classes.
    """
    ranges = {
        "labels": ("i", 0, classes - 1),
        "votes": ("f", 0, 1),
        "embeddings": ("f", -1, 1),
        "neighbours": ("i", 0, np.inf),
        "similarities": ("f", -1, 1),
        "neighbour_labels": ("i", 0, classes - 1),
    }
    arrays = {name: values for name, values in answers._asdict().items() if values is not None}
    columns = {name: values.shape[1:2] for name, values in arrays.items()} | {"labels": (), "votes": (classes,)}
    if "neighbours" in arrays:  # the three have the same K, at least 1
        columns |= dict.fromkeys(list(ranges)[3:], arrays["neighbours"].shape[1:2])
    for name, values in arrays.items():
        kind, low, high = ranges[name]
        if values.shape != (faces, *columns[name]) or not values.size or (values.ndim < 2 and name != "labels"):
            return f"{name} have the shape {values.shape}, with faces: {faces}, classes: {classes}"
        if values.dtype.kind != kind:
            return f"{name} are {values.dtype}"
        if not ((values >= low - SLACK) & (values <= high + SLACK)).all():  # also if not finite
            return f"{name} are outside {low} to {high}, or not finite"
    if np.abs(answers.votes.sum(axis=1) - 1).max() > SLACK:
        return "votes do not sum to 1"
    return None


class Agreement(NamedTuple):
    """Comparison of two backends.

    A face is tied if its votes differ by more than ``TOLERANCE`` only because two gallery faces are equally far, to
    within ``TIE``, and rounding decides which of them is the last neighbour.
    """

    other_class: int  # faces whose class differs
    largest_difference: float  # of a vote, over all faces that are not tied
    tied: int  # faces that are tied

    def __str__(self) -> str:
        """Return the comparison for people."""
        text = f"votes apart by {self.largest_difference:.1e} at most"
        if self.tied:
            text += f"; of {self.tied:,} more votes differ, since rounding chooses between equally far neighbours"
        return text


def compare(reference: Backend, backend: Backend, faces: np.ndarray) -> Agreement:
    """Return how far two backends agree about faces (N, H, W) uint8."""
    expected, answers = reference.answer(faces), backend.answer(faces)
    differences = np.abs(answers.votes - expected.votes).max(axis=1)  # (N,)
    rows = np.flatnonzero(differences > TOLERANCE).tolist()
    tied = [row for row in rows if _differ_by_tie(answers, expected, row)]
    largest = float(np.delete(differences, tied).max(initial=0.0))
    return Agreement(int((answers.labels != expected.labels).sum()), largest, len(tied))


def _differ_by_tie(first: Answers, second: Answers, row: int) -> bool:
    """Return whether each neighbour that only one answer has is as far as its last neighbour, to within ``TIE``."""
    for answers, reference in ((first, second), (second, first)):
        if answers.neighbours is None or answers.similarities is None or reference.neighbours is None:
            return False
        extra = ~np.isin(answers.neighbours[row], reference.neighbours[row])
        similarities = answers.similarities[row]
        if not extra.any() or (similarities[extra] - similarities[-1]).max() > TIE:
            return False
    return True
