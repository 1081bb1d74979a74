"""The table of faces, which every other room reads."""

import hashlib
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from fer_lightning.errors import UserError

CLASSES = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")  # of FER2013 and of the synthetic faces
SPLITS = ("train", "validation", "test")
USAGES = {"training": "train", "publictest": "validation", "privatetest": "test"}  # FER2013's words for its parts
SPLITS_BY_NAME = {"train": "train", "validation": "validation", "valid": "validation", "val": "validation"}
SPLITS_BY_NAME |= {"test": "test"} | USAGES
COLUMNS = ("images", "labels", "names", "splits", "true_labels", "persons", "rows", "crowd")  # with a row for each face


@dataclass(frozen=True)
class Faces:
    """N grey faces with their labels, in a fixed order.

    Attributes:
        images: (N, H, W) uint8, all of one size.
        labels: (N,) int64, positions in ``classes``.
        names: (N,) str, the path of each face inside its source, as ``names.write_name`` writes it; unique.
        splits: (N,) str, one of ``SPLITS``: the part of the data set to which the source assigns the face.
        source: Name of the source for people: that of an archive, or "synthetic faces".
        fingerprint: SHA-256 of images, labels, splits and classes. It does not depend on how the faces were packed.
        unreadable: (name, reason) of every file that could not be read as a face.
        remarks: What the reader corrected, one sentence with a count for each kind.
        best_possible: Highest expected accuracy on the labels, or None if it is not known.
        true_labels: (N,) int64, the expressions that the faces show, or None if they are not known. Only the check of
            lists of wrong labels reads them: no training, classifier or score does.
        classes: Names of the classes.
        persons: (N,) str, the person of each face; None if the source does not tell.
        rows: (N,) int64, row of each face in fer2013.csv, from 0, or None if it is not known.
        split: Options by which the test part was drawn; None if the source has a split.
        crowd: (N, A) int64, people who gave each answer: first the classes, then what is no class; None if unknown.
    """

    images: np.ndarray
    labels: np.ndarray
    names: np.ndarray
    splits: np.ndarray
    source: str
    fingerprint: str
    unreadable: tuple[tuple[str, str], ...] = ()
    remarks: tuple[str, ...] = ()
    best_possible: float | None = None
    true_labels: np.ndarray | None = None
    classes: tuple[str, ...] = CLASSES
    persons: np.ndarray | None = None
    rows: np.ndarray | None = None
    split: str | None = None
    crowd: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.labels)

    def subset(self, rows: np.ndarray) -> "Faces":
        """Return the faces of some rows; fingerprint and remarks stay those of the whole table."""
        columns = {name: column[rows] for name in COLUMNS if (column := getattr(self, name)) is not None}
        return replace(self, **columns)

    def relabelled(self, labels: np.ndarray, classes: tuple[str, ...], **columns: Any) -> "Faces":
        """Return the faces with new labels, classes and other columns, without those whose label is -1."""
        faces = replace(self, labels=labels, classes=classes, **columns)
        if (labels < 0).any():
            faces = faces.subset(np.flatnonzero(labels >= 0))
        return replace(faces, fingerprint=fingerprint(faces.images, faces.labels, faces.splits, classes))

    def counts(self) -> dict[str, list[int]]:
        """Return the number of faces of each class for every split that has faces."""
        return {
            split: np.bincount(self.labels[self.splits == split], minlength=len(self.classes)).tolist()
            for split in SPLITS
            if (self.splits == split).any()
        }


def split_of(text: str, source: str) -> str:
    """Return the split that a cell means.

    Args:
        text: A key of ``SPLITS_BY_NAME`` in capital or small letters.
        source: Option, file and line of the cell, for the message.

    Raises:
        UserError: If it means none.
    """
    if text.lower() not in SPLITS_BY_NAME:
        raise UserError(f"{source}: split {text!r:.40}, allowed: {', '.join(SPLITS_BY_NAME)}; correct it")
    return SPLITS_BY_NAME[text.lower()]


def fingerprint(images: np.ndarray, labels: np.ndarray, splits: np.ndarray, classes: tuple[str, ...] = CLASSES) -> str:
    """Return the SHA-256 of images, labels and splits, hexadecimal; of the classes too if they are not the seven."""
    digest = hashlib.sha256(np.ascontiguousarray(images).data)
    digest.update(labels.astype(np.int64).tobytes())
    digest.update("\n".join(splits.tolist()).encode())
    if classes != CLASSES:
        digest.update("\n".join(classes).encode())
    return digest.hexdigest()
