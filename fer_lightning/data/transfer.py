"""Partition of a test on another data set than the one that trained the network."""

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


def _concatenate(first: Faces, second: Faces) -> Faces:
    """Return the faces of two tables of the same classes, those of the first table first."""
    columns: dict[str, Any] = {
        name: np.concatenate([getattr(first, name), getattr(second, name)])
        for name in ("images", "labels", "names", "splits")
    }
    digest = fingerprint(columns["images"], columns["labels"], columns["splits"], second.classes)
    return Faces(**columns, source=second.source, fingerprint=digest, classes=second.classes)
