"""Protocols: which faces train, which choose the checkpoint, which are reported on. Pure functions."""

from dataclasses import dataclass

import numpy as np

from fer_lightning.data.faces import Faces
from fer_lightning.data.twins import identical_groups
from fer_lightning.errors import UserError


@dataclass(frozen=True)
class Partition:
    """Rows of a ``Faces`` table, ascending.

    Attributes:
        train: Rows to learn from; also the k-NN gallery.
        validation: Rows that choose the checkpoint.
        test: Rows that are reported on.
        proves: One sentence on what a score under this protocol shows.
        leaks: Why the score is too high, or "" where nothing leaks.
        left_out: Training faces dropped because an identical picture is held out.
    """

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    proves: str
    leaks: str = ""
    left_out: int = 0


def honest(faces: Faces, validation_share: float, seed: int) -> Partition:
    """Report on the held-out folder, choose on a part of the training folder, keep twins on one side.

    Training faces that are pixel-identical to a held-out face are left out. The validation part is stratified
    by class and takes groups of identical pictures whole.

    Args:
        faces: The table.
        validation_share: Share of the remaining training faces that validates, in (0, 1).
        seed: Of the cut alone, so that runs of several training seeds choose on the same faces.

    Raises:
        UserError: If the table has no held-out faces, or too few to cut a validation part from.
    """
    groups = identical_groups(faces.images)
    test = _held_out(faces, "honest")
    train = np.flatnonzero(faces.splits == "train")
    clean = train[~np.isin(groups[train], groups[test])]
    validation = _stratified_groups(clean, faces.labels, groups, validation_share, seed)
    return Partition(
        train=np.setdiff1d(clean, validation),
        validation=validation,
        test=test,
        proves="accuracy on faces that neither trained the network nor chose the checkpoint",
        left_out=len(train) - len(clean),
    )


def folder(faces: Faces) -> Partition:
    """Take the archive's two folders as they are and choose the checkpoint on the reported one, as the paper does.

    Raises:
        UserError: If the table has no held-out faces.
    """
    held_out = _held_out(faces, "folder")
    train = np.flatnonzero(faces.splits == "train")
    groups = identical_groups(faces.images)
    twins = np.isin(groups[held_out], groups[train]).mean()
    return Partition(
        train=train,
        validation=held_out,
        test=held_out,
        proves="the best of several checkpoints on the faces that chose it",
        leaks=f"the checkpoint is chosen on the reported faces, and {twins:.1%} of them have a twin in training",
    )


def official(faces: Faces) -> Partition:
    """Train on FER2013's Training, choose on PublicTest, report on PrivateTest (the contest's protocol).

    Raises:
        UserError: If one of the three parts is missing.
    """
    train, validation, test = (np.flatnonzero(faces.splits == split) for split in ("train", "validation", "test"))
    if not (len(train) and len(validation) and len(test)):
        raise UserError(
            "protocol=official needs FER2013's Training, PublicTest and PrivateTest, and these faces do not have all "
            "three: use fer2013.csv or its folder layout as data.root, or protocol=honest"
        )
    groups = identical_groups(faces.images)
    twins = np.isin(groups[test], groups[np.concatenate([train, validation])]).mean()
    return Partition(
        train=train,
        validation=validation,
        test=test,
        proves="the contest's figure of 2013: PrivateTest after choosing on PublicTest",
        leaks=f"{twins:.1%} of the test faces have an identical twin in training or validation" if twins else "",
    )


def _held_out(faces: Faces, protocol: str) -> np.ndarray:
    rows = np.flatnonzero(faces.splits != "train")
    if len(rows) == 0:
        raise UserError(
            f"protocol={protocol} reports on held-out faces, and data.root has none: "
            "add a folder validation/ or test/ beside train/"
        )
    return rows


def _stratified_groups(rows: np.ndarray, labels: np.ndarray, groups: np.ndarray, share: float, seed: int) -> np.ndarray:
    """Return about ``share`` of the rows of each class, ascending; rows of one group stay together."""
    if not 0 < share < 1:
        raise UserError(f"protocol.validation_share={share} must lie between 0 and 1")
    random = np.random.default_rng(seed)
    chosen = []
    heads, position = np.unique(groups[rows], return_index=True)
    head_labels = labels[rows[position]]  # a group with contradictory labels counts for the class of its first face
    for label in np.unique(head_labels):
        own = heads[head_labels == label]
        chosen.append(random.permutation(own)[: max(1, round(share * len(own)))])
    validation = rows[np.isin(groups[rows], np.concatenate(chosen))]
    if len(validation) == len(rows):
        raise UserError("too few training faces to cut a validation part from: give data.root more than two per class")
    return validation
