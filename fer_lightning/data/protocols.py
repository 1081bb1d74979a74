"""Protocols: which faces train, which choose the checkpoint, which are reported on. Pure functions.

Each takes the table of faces and its twins and returns a ``Partition`` that carries the protocol's name and measures by
itself what leaks from its training side into its test side: a protocol of yours is labelled as ours are.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from fer_lightning.data.augmentation import Chain
from fer_lightning.data.faces import Faces
from fer_lightning.data.partition import Partition, deal
from fer_lightning.data.progress import track
from fer_lightning.data.twins import Twins
from fer_lightning.errors import UserError


def honest(faces: Faces, twins: Twins, validation_share: float, seed: int) -> Partition:
    """Report on the held-out folder, choose on a part of the training folder, keep twins on one side.

    Training faces with an identical or near twin among the held-out ones are left out. The validation part is
    stratified by class and takes groups of twins whole.

    Args:
        faces: The table.
        twins: The table's twins.
        validation_share: Share of the remaining training faces that validates, in (0, 1).
        seed: Decides the cut alone, so that runs of several training seeds choose on the same faces.

    Raises:
        UserError: If the table has no held-out faces, or too few to cut a validation part from.
    """
    test = _held_out(faces, "honest")
    train = np.flatnonzero(faces.splits == "train")
    proves = "accuracy on faces that neither trained the network nor chose the checkpoint"
    return _clean("honest", faces, twins, train, test, validation_share, seed, proves)


def kfold(faces: Faces, twins: Twins, folds: int, fold: int, validation_share: float, seed: int) -> Partition:
    """Report on one of several folds of all faces, whatever folder they lie in; twins share a fold.

    Args:
        faces: The table.
        twins: The table's twins.
        folds: Number of folds, 2 or more.
        fold: Number of the fold to report on, 0 to ``folds`` - 1; the others train.
        validation_share: Share of the other folds that chooses the checkpoint, in (0, 1).
        seed: Decides the folds and the cut.

    Raises:
        UserError: If ``fold`` does not exist, or a fold would hold no face.
    """
    if folds < 2 or not 0 <= fold < folds:
        raise UserError(f"protocol.fold={fold} does not exist with protocol.folds={folds}: use 0 to {folds - 1}")
    rows = np.arange(len(faces))
    parts = deal(rows, faces.labels, twins.groups, [1 / folds] * folds, seed)
    if any(len(part) == 0 for part in parts):
        raise UserError(f"protocol.folds={folds} leaves a fold without a face: use fewer")
    return _clean(
        "kfold",
        faces,
        twins,
        np.setdiff1d(rows, parts[fold]),
        parts[fold],
        validation_share,
        seed,
        proves=f"accuracy on fold {fold} of {folds}, unseen by this run; the figure is the mean over all folds",
    )


def folder(faces: Faces, twins: Twins) -> Partition:
    """Take the archive's two folders as they are and choose the checkpoint on the reported one, as the paper does.

    Raises:
        UserError: If the table has no held-out faces.
    """
    held_out = _held_out(faces, "folder")
    train = np.flatnonzero(faces.splits == "train")
    return _partition(
        "folder",
        faces,
        twins,
        train,
        held_out,
        held_out,
        proves="the best of several checkpoints on the faces that chose it",
    )


def official(faces: Faces, twins: Twins) -> Partition:
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
    return _partition(
        "official",
        faces,
        twins,
        train,
        validation,
        test,
        proves="the contest's figure of 2013: PrivateTest after choosing on PublicTest",
    )


def paper(faces: Faces, twins: Twins, pictures: Mapping[str, Chain], test_share: float, seed: int) -> Partition:
    """Take the paper's table 2 by the letter, then split: siblings of a test picture train.

    This is one reading of the paper, which does not say whether the split comes before or after the augmentation.

    Args:
        faces: The table.
        twins: The table's twins.
        pictures: Names and chains of the pictures that are made of each face beside itself.
        test_share: Share of each class's pictures that is held out, and chooses the checkpoint too.
        seed: Decides the split.
    """
    multiplied = multiply(faces, pictures)
    rows = np.arange(len(multiplied))
    test, train = deal(rows, multiplied.labels, rows, [test_share, 1 - test_share], seed)
    origins = np.tile(np.arange(len(faces)), len(pictures) + 1)
    return replace(
        _partition(
            "paper",
            multiplied,
            twins,
            train,
            test,
            test,
            proves="how well a network knows faces again that it was trained on in another crop or angle",
        ),
        origins=origins,
    )


def leaky_gallery(faces: Faces, twins: Twins, validation_share: float, seed: int) -> Partition:
    """Put the test faces into the gallery of the honest protocol: a fault to measure by, never to report."""
    parts = honest(faces, twins, validation_share, seed)
    return replace(
        parts,
        protocol="leaky_gallery",
        gallery=np.union1d(parts.train, parts.test),
        proves="nothing: the classifier looks the answers up",
    )


def leaky_report(faces: Faces, twins: Twins, validation_share: float, seed: int) -> Partition:
    """Report on the training faces of the honest protocol: a fault to measure by, never to report."""
    parts = honest(faces, twins, validation_share, seed)
    return replace(
        parts, protocol="leaky_report", test=parts.train, proves="nothing: the network is asked what it was told"
    )


def multiply(faces: Faces, pictures: Mapping[str, Chain]) -> Faces:
    """Return the faces, then each made picture of all of them: N x (1 + pictures) rows."""
    images = [faces.images]
    names = [faces.names]
    for copy, (kind, chain) in enumerate(pictures.items(), start=1):
        images.append(_pictures(faces.images, kind, chain, copy * len(faces)))
        names.append(np.array([f"{name}#{kind}" for name in faces.names]))
    times = len(images)
    return replace(
        faces,
        images=np.concatenate(images),
        labels=np.tile(faces.labels, times),
        names=np.concatenate(names),
        splits=np.tile(faces.splits, times),
        true_labels=None if faces.true_labels is None else np.tile(faces.true_labels, times),
    )


def _pictures(images: np.ndarray, kind: str, chain: Chain, first: int) -> np.ndarray:
    drawn = images.copy()
    for row, image in enumerate(track(images, f"drawing {kind} pictures")):
        drawn[row] = chain(image, 0, first + row)
    return drawn


def _clean(
    protocol: str,
    faces: Faces,
    twins: Twins,
    train: np.ndarray,
    test: np.ndarray,
    validation_share: float,
    seed: int,
    proves: str,
) -> Partition:
    """Return a partition without a twin across any border, its validation part cut from the training faces."""
    if not 0 < validation_share < 1:
        raise UserError(f"protocol.validation_share={validation_share} must lie between 0 and 1")
    unseen = train[~np.isin(twins.groups[train], twins.groups[test])]
    if not len(unseen):
        raise UserError(
            f"protocol={protocol} leaves no face to train on, for every training face has a twin among the held-out "
            "ones: use other faces as data.root, or protocol=folder, whose scores are labelled leaky"
        )
    validation, rest = deal(unseen, faces.labels, twins.groups, [validation_share, 1 - validation_share], seed)
    if not (len(validation) and len(rest)):
        raise UserError("too few training faces to cut a validation part from: give data.root more than two per class")
    partition = _partition(protocol, faces, twins, rest, validation, test, proves)
    return replace(partition, left_out=len(train) - len(unseen))


def _partition(
    protocol: str, faces: Faces, twins: Twins, train: np.ndarray, validation: np.ndarray, test: np.ndarray, proves: str
) -> Partition:
    """Return a partition of the source's own table whose gallery is the training faces."""
    return Partition(protocol, faces, np.arange(len(faces)), twins, train, train, validation, test, proves)


def _held_out(faces: Faces, protocol: str) -> np.ndarray:
    rows = np.flatnonzero(faces.splits != "train")
    if len(rows) == 0:
        raise UserError(
            f"protocol={protocol} reports on held-out faces, and data.root has none: "
            "add a folder validation/ or test/ beside train/, or use protocol=kfold"
        )
    return rows
