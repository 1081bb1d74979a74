"""Which pictures train, validate and test, what leaks from the training side into the test side, and the deal."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from fer_lightning.data.faces import Faces
from fer_lightning.data.twins import Twins
from fer_lightning.words import percent


@dataclass(frozen=True)
class Partition:
    """Rows of a table of pictures, ascending.

    Attributes:
        protocol: The protocol's name, as tables and metrics.json show it.
        faces: The table: the source's own, or the pictures that the protocol made of it.
        origins: (N,) int64, the row of the source's table that each picture shows.
        twins: The twins of the source's table.
        train: Rows to learn from.
        gallery: Rows that the k-NN classifier searches.
        validation: Rows that choose the checkpoint.
        test: Rows that are reported on.
        proves: One sentence on what a score under this protocol shows.
        left_out: Training faces removed because a copy is in the test set.
    """

    protocol: str
    faces: Faces
    origins: np.ndarray
    twins: Twins
    train: np.ndarray
    gallery: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    proves: str
    left_out: int = 0

    @property
    def groups(self) -> np.ndarray:
        """Return (N,) int64: pictures of one group show one face, as siblings, identical or near twins."""
        return self.twins.groups[self.origins]

    @property
    def fingerprint(self) -> str:
        """Return the SHA-256 of which rows train, are searched, validate and test, hexadecimal."""
        digest = hashlib.sha256()
        for rows in (self.train, self.gallery, self.validation, self.test):
            digest.update(len(rows).to_bytes(8, "little"))
            digest.update(rows.astype(np.int64).tobytes())
        return digest.hexdigest()

    def seen(self, rows: np.ndarray) -> np.ndarray:
        """Return (B,) bool: whether the picture, a sibling or a twin of it stands in training or gallery."""
        return np.isin(self.groups[rows], self.groups[self._training_side()])

    def leaks(self) -> tuple[str, ...]:
        """Return what makes a score too high, one measured clause each; nothing where nothing leaks."""
        found = []
        side = self._training_side()
        pictures = "faces" if len(self.faces) == len(np.unique(self.origins)) else "pictures"
        kinds = (  # each kind includes the ones before it: only a share that grows is worth a clause
            ("{} of the test {} are themselves in {}", np.isin(self.test, side)),
            ("{} of the test {} have a sibling in {}", np.isin(self.origins[self.test], self.origins[side])),
            (
                "{} of the test {} have an identical twin in {}",
                np.isin(self.twins.identical[self.origins[self.test]], self.twins.identical[self.origins[side]]),
            ),
            ("{} of the test {} have an identical or near twin in {}", self.seen(self.test)),
        )
        place = "training" if np.isin(self.gallery, self.train).all() else "training or gallery"
        known = 0.0
        for sentence, hits in kinds:
            share = hits.mean() if len(hits) else 0.0
            if share > known:
                text = percent(share, 1 + (0.9995 <= share < 1))  # 99.97 % is not all
                found.append(sentence.format(text, pictures, place))
                known = share
        overlap = np.isin(self.validation, self.test).mean() if len(self.validation) else 0.0
        if overlap:
            found.append("the checkpoint is chosen on the reported " + pictures)
        return tuple(found)

    def _training_side(self) -> np.ndarray:
        return np.union1d(self.train, self.gallery)


def deal(
    rows: np.ndarray, labels: np.ndarray, groups: np.ndarray, shares: Sequence[float], seed: int
) -> list[np.ndarray]:
    """Return one part of the rows per share, each stratified by class and ascending; groups stay together.

    Groups are numbered below the length of the table, as by the row of their first face. Each row of the table draws
    its own place in the order, so that a group more or less moves none of the others: what the search for twins finds
    at its threshold differs by the processor's rounding.
    """
    places = np.random.default_rng(seed).permutation(len(labels))
    heads, position = np.unique(groups[rows], return_index=True)
    head_labels = labels[rows[position]]  # a group with contradictory labels counts for the class of its first face
    dealt: list[list[np.ndarray]] = [[] for _ in shares]
    for label in np.unique(head_labels):
        own = heads[head_labels == label]
        own = own[np.argsort(places[own])]
        borders = np.round(np.cumsum(shares)[:-1] * len(own)).astype(int)
        borders = np.maximum(borders, np.arange(1, len(shares)))  # one group at least for each part but the last
        for part, heads_of_part in zip(dealt, np.split(own, borders), strict=True):
            part.append(heads_of_part)
    return [rows[np.isin(groups[rows], np.concatenate(part))] for part in dealt]
