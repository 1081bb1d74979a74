"""Teaching: the votes of trained networks on faces that they did not learn, as targets of another training."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from fer_lightning.data.partition import Partition
from fer_lightning.errors import UserError
from fer_lightning.models.module import ExpressionModule
from fer_lightning.use.judgement import embed
from fer_lightning.words import counted


class Teacher(NamedTuple):
    """A trained network and the faces of its run."""

    source: str  # option and folder, for messages
    model: ExpressionModule  # in evaluation mode
    partition: Partition


def teach(
    teachers: Sequence[Teacher], partition: Partition, weight: float, temperature: float
) -> tuple[np.ndarray, int]:
    """Return the targets (M, C) float32 of the training faces, and how many of them no teacher can judge.

    A target is (1 - weight) x the label + weight x the mean calibrated votes of the teachers. A teacher that learnt the
    face or a twin of it does not vote, because it would repeat a label that it knows by heart (cross-fitting, as in
    C. Northcutt et al., arXiv:1911.00068). A face that no teacher can judge keeps its label.

    Args:
        teachers: Trained on parts of the same table of faces.
        partition: That of the new training.
        weight: Share of the votes in a target, 0 to 1.
        temperature: Above 1 makes the votes more equal: they are raised to 1 / temperature.

    Raises:
        UserError: If a teacher knows other faces, or has learnt faces that the new run reports on or chooses by.
    """
    faces, rows = partition.faces, partition.train
    votes, voters = np.zeros((len(rows), len(faces.classes))), np.zeros(len(rows))
    for teacher in teachers:
        learnt = _learnt_groups(teacher, partition)
        new = np.flatnonzero(~np.isin(partition.groups[rows], learnt))
        if not len(new):
            continue
        embeddings = embed(teacher.model, faces, rows[new])
        decision = teacher.model.classifier.decide(embeddings)
        shares = teacher.model.calibration.probabilities(decision.votes.numpy()) ** (1 / temperature)
        votes[new] += shares / shares.sum(axis=1, keepdims=True)
        voters[new] += 1
    targets = np.eye(len(faces.classes))[faces.labels[rows]]
    judged = voters > 0
    targets[judged] = (1 - weight) * targets[judged] + weight * votes[judged] / voters[judged, None]
    return targets.astype(np.float32), int((~judged).sum())


def _learnt_groups(teacher: Teacher, partition: Partition) -> np.ndarray:
    """Return the groups of twins of which a teacher has learnt a face; refuse one that has learnt too much."""
    if not np.array_equal(teacher.partition.faces.images, partition.faces.images):
        raise UserError(f"{teacher.source} was trained on other faces than those of data.root")
    learnt = np.unique(teacher.partition.groups[np.union1d(teacher.partition.train, teacher.partition.gallery)])
    for part, rows in {"tests on": partition.test, "chooses by": partition.validation}.items():
        if leaked := int(np.isin(partition.groups[rows], learnt).sum()):
            raise UserError(
                f"{teacher.source} has learnt {counted(leaked, 'face')} (or twins) that this run {part}: give runs of "
                "the same protocol and protocol.seed"
            )
    return learnt
