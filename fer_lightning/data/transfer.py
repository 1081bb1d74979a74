"""Partition of a test for a network that other faces, or another part of these, have trained."""

from dataclasses import replace
from typing import Any

import numpy as np

from fer_lightning.data.audit import audit
from fer_lightning.data.faces import COLUMNS, Faces, fingerprint
from fer_lightning.data.partition import Partition


def transferred(
    faces: Faces, partition: Partition, trained_on: str, training: tuple[Faces, Partition] | None, cache_dir: str
) -> Partition:
    """Return the partition of a test on another data set; twins of its training faces count as leaks.

    Args:
        faces: Table of the other data set.
        partition: Its partition, whose test faces are scored.
        trained_on: Source of the faces that trained the network.
        training: Those faces and their partition; None where they are not at hand. Then no leak can be measured.
        cache_dir: Folder for what a search for twins finds.
    """
    proves = f"accuracy on another data set: the network was trained on {trained_on}"
    if training is None:
        none = np.empty(0, np.int64)
        untrained = replace(partition, train=none, gallery=none, validation=none, left_out=0, left_out_test=0)
        return replace(untrained, proves=proves, trained_on=trained_on)
    training_faces, trained = training
    twins = audit(_concatenate(training_faces, faces), cache_dir).twins
    joined = _join(trained, partition, len(training_faces))
    return replace(joined, twins=twins, left_out=0, left_out_test=0, proves=proves, trained_on=trained_on)


def divided_again(partition: Partition, trained: Partition) -> Partition:
    """Return the partition with the training side of the one that trained the network."""
    if partition.fingerprint == trained.fingerprint:
        return partition
    proves = f"accuracy of a network that another partition of these faces has trained, by {trained.protocol}"
    if len(partition.faces) == len(trained.faces) == len(partition.twins.groups):  # each row is a face of the source
        return replace(partition, **_sides(trained), left_out=0, proves=proves)
    return replace(_join(trained, partition, 0), left_out=0, proves=proves)


def learnt(faces: Faces, training: tuple[Faces, Partition], cache_dir: str) -> np.ndarray:
    """Return (N,) bool: whether a face, or a twin of it, is among the training faces of another training."""
    others, trained = training
    rows = trained.origins[trained.train]
    if others.fingerprint == faces.fingerprint:
        groups = trained.twins.groups
        return np.isin(groups, groups[rows])
    groups = audit(_concatenate(others, faces), cache_dir).twins.groups
    return np.isin(groups[len(others) :], groups[rows])


def _join(trained: Partition, partition: Partition, first: int) -> Partition:
    """Return the test side of a partition behind the training side of another; ``first`` is added to its origins."""
    return replace(
        partition,
        faces=_concatenate(trained.faces, partition.faces),
        origins=np.concatenate([trained.origins, partition.origins + first]),
        **_sides(trained),
        test=partition.test + len(trained.faces),
    )


def _sides(trained: Partition) -> dict[str, Any]:
    return {name: getattr(trained, name) for name in ("train", "gallery", "validation")}


def _concatenate(first: Faces, second: Faces) -> Faces:
    """Return the faces of two tables of the same classes, those of the first table first.

    The first have no votes of people: only test faces are compared with them. The persons of sources with different
    names are different ones.
    """
    tables: list[dict[str, Any]] = [{name: getattr(faces, name) for name in COLUMNS} for faces in (first, second)]
    if second.crowd is not None:
        tables[0]["crowd"] = np.zeros((len(first), second.crowd.shape[1]), np.int64)
    if first.source != second.source and second.persons is not None:
        persons = first.names if first.persons is None else first.persons
        tables[0]["persons"] = np.array([f"{first.source}: {person}" for person in persons])
    pairs = {name: [table[name] for table in tables if table[name] is not None] for name in COLUMNS}
    columns: dict[str, Any] = {name: np.concatenate(pair) for name, pair in pairs.items() if len(pair) == 2}
    digest = fingerprint(columns["images"], columns["labels"], columns["splits"], second.classes)
    return Faces(**columns, source=second.source, fingerprint=digest, classes=second.classes)
