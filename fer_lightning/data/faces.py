"""The table of faces that every other part of the project speaks of."""

import hashlib
from dataclasses import dataclass

import numpy as np

# FER2013's, which the synthetic faces have too; other faces have the classes of their own folders.
CLASSES = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Faces:
    """N grey faces with their labels, in a fixed order.

    Attributes:
        images: (N, H, W) uint8, all of one size.
        labels: (N,) int64, positions in ``classes``.
        names: (N,) str, the path of each face inside its source, as ``names.write_name`` writes it; unique.
        splits: (N,) str, one of ``SPLITS``: the part of the data set that the source puts the face in.
        source: Where the faces come from, for people: an archive's name or "synthetic faces".
        fingerprint: SHA-256 of images, labels, splits and classes, the same however the faces were packed.
        unreadable: (name, reason) of every file that could not be read as a face.
        remarks: What the reader put right by itself, one counted sentence each.
        best_possible: Highest expected accuracy on the labels, where it is known; else None.
        true_labels: (N,) int64, what the faces show, where it is known; else None. It judges lists of wrong labels: no
            training, classifier or score reads it.
        classes: Names of the classes.
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

    def __len__(self) -> int:
        return len(self.labels)

    def counts(self) -> dict[str, list[int]]:
        """Return the number of faces per split and class, splits without a face left out."""
        return {
            split: np.bincount(self.labels[self.splits == split], minlength=len(self.classes)).tolist()
            for split in SPLITS
            if (self.splits == split).any()
        }

    def check(self, image_size: int) -> None:
        """Look whether a table that was kept on disk is what this class describes.

        Args:
            image_size: Height and width that its images should have, pixels.

        Raises:
            ValueError: Naming what is something else.
        """
        shapes = {"images": (len(self), image_size, image_size)} | dict.fromkeys(
            ("labels", "names", "splits"), (len(self),)
        )
        for name, shape in shapes.items():
            if getattr(self, name).shape != shape:
                raise ValueError(f"{name} are {getattr(self, name).shape}, not {shape}")
        if (self.images.dtype, self.labels.dtype, self.names.dtype.kind) != (np.uint8, np.int64, "U"):
            raise ValueError(f"images, labels, names are {self.images.dtype}, {self.labels.dtype}, {self.names.dtype}")
        if not np.isin(self.labels, np.arange(len(self.classes))).all() or not np.isin(self.splits, SPLITS).all():
            raise ValueError("a face has no known class or split")
        if fingerprint(self.images, self.labels, self.splits, self.classes) != self.fingerprint:
            raise ValueError("the fingerprint is that of other faces")


def fingerprint(images: np.ndarray, labels: np.ndarray, splits: np.ndarray, classes: tuple[str, ...] = CLASSES) -> str:
    """Return the SHA-256 of images (uint8), labels (as int64), splits and other classes than the seven, hexadecimal."""
    digest = hashlib.sha256(np.ascontiguousarray(images).tobytes())
    digest.update(labels.astype(np.int64).tobytes())
    digest.update("\n".join(splits.tolist()).encode())
    if classes != CLASSES:
        digest.update("\n".join(classes).encode())
    return digest.hexdigest()
