"""Partition of a table: which pictures train, validate and test, and the leaks between the parts."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from fer_lightning.data.corrections import Corrected
from fer_lightning.data.faces import Faces
from fer_lightning.data.twins import Twins, connect
from fer_lightning.words import percent


@dataclass(frozen=True)
class Partition:
    """Rows of a table of pictures, ascending.

    Attributes:
        protocol: Name of the protocol in tables and metrics.json.
        faces: The table of the source, or the pictures that the protocol made from it.
        origins: (N,) int64, the row of the source's table from which each picture was made.
        twins: The twins of the source's table.
        train: Rows to learn from.
        gallery: Rows in which the k-NN classifier searches.
        validation: Rows that choose the checkpoint.
        test: Rows that give the reported score.
        proves: What a score under this protocol shows, as a clause.
        left_out: Number of training faces that were removed because a copy is in the test set.
        left_out_test: Number of test faces that were removed because a copy is in the training set.
        corrected: What the corrections of labels have done; None without any.
        trained_on: Source of the faces that trained the network, where the test faces are of another data set.
        learnt_before: Test rows whose face, or a twin of it, an earlier training of the network has learnt.
        untold: Whether the faces of an earlier training are not at hand, so that ``learnt_before`` may lack some.
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
    left_out_test: int = 0
    corrected: Corrected | None = None
    trained_on: str | None = None
    learnt_before: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    untold: bool = False

    @property
    def groups(self) -> np.ndarray:
        """Return (N,) int64: pictures with one number show one face (siblings, twins) or one person."""
        return unite(self.twins.groups[self.origins], self.faces.persons)

    @property
    def measurable(self) -> bool:
        """Return whether all faces that trained the network are at hand, so that every leak can be found."""
        return len(self.train) > 0 and not self.untold

    @property
    def fingerprint(self) -> str:
        """Return the SHA-256 of the four lists of rows and of corrected labels, hexadecimal."""
        digest = hashlib.sha256()
        for rows in (self.train, self.gallery, self.validation, self.test):
            digest.update(len(rows).to_bytes(8, "little"))
            digest.update(rows.astype(np.int64).tobytes())
        if self.corrected:
            digest.update(self.corrected.digest.encode())
        return digest.hexdigest()

    def leaked(self, rows: np.ndarray) -> np.ndarray:
        """Return (B,) bool: whether the picture, or a sibling or twin of it, is in the gallery or any training."""
        return self._has_twin(rows) | np.isin(rows, self.learnt_before)

    def leaks(self) -> tuple[str, ...]:
        """Return one clause, with its share, for each reason why a score is too high."""
        leaks = []
        training = self._training_side()
        origins, training_origins = self.origins[self.test], self.origins[training]
        noun = "faces" if len(self.faces) == len(np.unique(self.origins)) else "pictures"
        part = "training" if np.isin(self.gallery, self.train).all() else "training or gallery"
        kinds = {  # each kind includes the kinds before it, so only a share that grows needs a clause
            "are themselves": np.isin(self.test, training),
            "have a sibling": np.isin(origins, training_origins),
            "have an identical twin": np.isin(self.twins.identical[origins], self.twins.identical[training_origins]),
            "have an identical or near twin": self._has_twin(self.test),
        }
        largest = 0.0
        for kind, hits in kinds.items():
            share = hits.mean() if len(hits) else 0.0
            if share > largest:
                digits = 2 if 0.9995 <= share < 1 else 1  # 99.97 % is not all
                leaks.append(f"{percent(share, digits)} of the test {noun} {kind} in {part}")
                largest = share
        if self.faces.persons is not None:
            persons, others = self.faces.persons[self.test], self.faces.persons[training]
            shared = np.isin(persons, others)
            if shared.any():
                name = persons[shared][0]
                leaks.append(
                    f"{percent(shared.mean())} of the test {noun} show a person who is in {part} ({name} on both sides)"
                )
        if len(self.learnt_before):
            share = percent(len(self.learnt_before) / len(self.test))
            leaks.append(f"an earlier training (init_from) learnt {share} of the test {noun}, or twins of them")
        if np.isin(self.validation, self.test).any():
            leaks.append(f"the checkpoint is chosen on the reported {noun}")
        return tuple(leaks)

    def verdict(self) -> str | None:
        """Return all leaks as one text, "" if there is none; None if there is none and some may not be found."""
        return "; ".join(self.leaks()) or ("" if self.measurable else None)

    def _has_twin(self, rows: np.ndarray) -> np.ndarray:
        groups = self.twins.groups[self.origins]
        return np.isin(groups[rows], groups[self._training_side()])

    def _training_side(self) -> np.ndarray:
        return np.union1d(self.train, self.gallery)


def without(partition: Partition, span: Sequence[float]) -> Partition:
    """Return the partition without a part of its training and gallery faces; twins and persons stay together.

    Args:
        partition: Its order of training faces is that of ``deal`` with seed 0, stratified by class.
        span: Where the part begins and ends, as shares of the training faces: of [0, 0.5] and [0.5, 1] each face is in
            one.
    """
    begin, end = span
    shares = {"before": begin, "out": end - begin, "after": 1 - end}
    shares = {name: share for name, share in shares.items() if share > 0}
    parts = divide(partition.train, partition.faces, partition.groups, list(shares.values()), seed=0)
    left_out = dict(zip(shares, parts, strict=True))["out"]
    train, gallery = (np.setdiff1d(rows, left_out) for rows in (partition.train, partition.gallery))
    return replace(partition, train=train, gallery=gallery)


def unite(groups: np.ndarray, persons: np.ndarray | None) -> np.ndarray:
    """Return (N,) int64: the groups of twins, those of one person as one; each is numbered by one of its rows.

    Args:
        groups: (N,) int64, groups of twins.
        persons: (N,) str; None if they are not known.
    """
    if persons is None:
        return groups
    _, first, positions = np.unique(persons, return_index=True, return_inverse=True)
    return connect(groups, np.stack([np.arange(len(groups)), first[positions]], axis=1))


def divide(rows: np.ndarray, faces: Faces, groups: np.ndarray, shares: Sequence[float], seed: int) -> list[np.ndarray]:
    """Return one part of the rows for each share, stratified by class; a group is never divided.

    Args:
        rows: Rows of the table to divide.
        faces: The table.
        groups: (N,) groups of twins and persons, of the whole table, as ``unite`` returns them.
        shares: Share of each part; their sum is 1.
        seed: Decides the order.
    """
    way = deal if faces.persons is None else deal_evenly
    return way(rows, faces.labels, groups, shares, seed)


def deal(
    rows: np.ndarray, labels: np.ndarray, groups: np.ndarray, shares: Sequence[float], seed: int
) -> list[np.ndarray]:
    """Return one part of the rows for each share, ascending and stratified by class; a group is never divided.

    The order is drawn for every row of the table, not for the groups. So one more group moves no other group: the
    search for twins has few pairs at its threshold, which differ by the rounding of the processor.

    Args:
        rows: Rows of the table to deal.
        labels: (N,) labels of the whole table.
        groups: (N,) groups of the whole table, each numbered by one of its rows.
        shares: Share of each part; their sum is 1.
        seed: Decides the order.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    heads, position = np.unique(groups[rows], return_index=True)
    head_labels = labels[rows[position]]  # a group with contradictory labels has the class of its first face
    parts: list[list[np.ndarray]] = [[] for _ in shares]
    for label in np.unique(head_labels):
        deck = heads[head_labels == label]
        deck = deck[np.argsort(order[deck])]
        borders = np.round(np.cumsum(shares)[:-1] * len(deck)).astype(int)
        borders = np.maximum(borders, np.arange(1, len(shares)))  # every part but the last has a group of the class
        for part, part_heads in zip(parts, np.split(deck, borders), strict=True):
            part.append(part_heads)
    return [rows[np.isin(groups[rows], np.concatenate(part))] for part in parts]


def deal_evenly(
    rows: np.ndarray, labels: np.ndarray, groups: np.ndarray, shares: Sequence[float], seed: int
) -> list[np.ndarray]:
    """Return one part of the rows for each share, as ``deal``, for groups of many faces of several classes.

    Each group, the largest first, goes to the part where the chi-square distance between the faces of each class and
    the part's share of them grows least. No part stays empty as long as there are groups.
    """
    order = np.random.default_rng(seed).permutation(len(labels))
    heads, group_of = np.unique(groups[rows], return_inverse=True)
    counts = np.zeros((len(heads), labels.max() + 1))
    np.add.at(counts, (group_of, labels[rows]), 1)
    targets = np.outer(shares, counts.sum(axis=0))
    dealt, parts = np.zeros_like(targets), np.zeros(len(heads), np.int64)
    turns = np.lexsort((order[heads], -counts.sum(axis=1)))
    for remaining, group in zip(range(len(turns), 0, -1), turns, strict=True):
        before, after = dealt - targets, dealt + counts[group] - targets
        growth = ((after**2 - before**2) / np.maximum(targets, 1e-9)).sum(axis=1, where=counts[group] > 0)
        empty = dealt.sum(axis=1) == 0
        if remaining <= empty.sum():
            growth[~empty] = np.inf
        parts[group] = growth.argmin()
        dealt[parts[group]] += counts[group]
    return [rows[parts[group_of] == part] for part in range(len(shares))]
