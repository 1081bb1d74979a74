"""Partition of a test for a network that other faces, or another part of these, have trained."""

from dataclasses import replace
from typing import Any

import numpy as np

from fer_lightning.data.audit import audit
from fer_lightning.data.faces import Faces, fingerprint
from fer_lightning.data.partition import Partition


def transferred(
    faces: Faces, partition: Partition, trained_on: str, training: tuple[Faces, Partition] | None, cache_dir: str
) -> Partition:
    """Return the partition for a network that none of these faces have trained, unless a twin shows that they have.

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
    pictures = _concatenate(trained.faces, partition.faces)
    return Partition(
        protocol=partition.protocol,
        faces=pictures,
        origins=np.concatenate([trained.origins, partition.origins + len(training_faces)]),
        twins=audit(_concatenate(training_faces, faces), cache_dir).twins,
        train=trained.train,
        gallery=trained.gallery,
        validation=trained.validation,
        test=partition.test + len(trained.faces),
        proves=proves,
        trained_on=trained_on,
    )


def divided_again(partition: Partition, trained: Partition) -> Partition:
    """Return the partition for a network that another partition of the same faces has trained."""
    if partition.fingerprint == trained.fingerprint:
        return partition
    again = replace(
        partition,
        train=trained.train,
        gallery=trained.gallery,
        validation=trained.validation,
        left_out=0,
        proves=f"accuracy of a network that another partition of these faces has trained, by {trained.protocol}",
    )
    if len(partition.faces) == len(trained.faces) == len(partition.twins.groups):  # each row is a face of the source
        return again
    return replace(
        again,
        faces=_concatenate(trained.faces, partition.faces),
        origins=np.concatenate([trained.origins, partition.origins]),
        test=partition.test + len(trained.faces),
    )


def learnt(faces: Faces, training: tuple[Faces, Partition], cache_dir: str) -> np.ndarray:
    """Return (N,) bool: whether a face, or a twin of it, is among the training faces of another training."""
    others, trained = training
    rows = trained.origins[trained.train]
    if others.fingerprint == faces.fingerprint:
        groups = trained.twins.groups
        return np.isin(groups, groups[rows])
    groups = audit(_concatenate(others, faces), cache_dir).twins.groups
    return np.isin(groups[len(others) :], groups[rows])


def _concatenate(first: Faces, second: Faces) -> Faces:
    """Return the faces of two tables of the same classes, those of the first table first."""
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(first, name), getattr(second, name)])
        for name in ("images", "labels", "names", "splits")
    }
    digest = fingerprint(columns["images"], columns["labels"], columns["splits"], second.classes)
    return Faces(**columns, source=second.source, fingerprint=digest, classes=second.classes)
