"""Protocols: functions that decide which faces train, which choose the checkpoint and which give the reported score.

Each takes the table of faces and its twins and returns a ``Partition`` with the name of the protocol. The partition
measures its own leaks, so a protocol of your own is labelled in the same way.
"""

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from fer_lightning.data.augmentation import Chain
from fer_lightning.data.faces import SPLITS, Faces, split_of
from fer_lightning.data.facts import read_facts
from fer_lightning.data.partition import Partition, deal, divide, unite
from fer_lightning.data.published import contest_parts, no_contest
from fer_lightning.data.twins import Twins
from fer_lightning.errors import UserError
from fer_lightning.kinds import CountOrZero, Folds, InnerShare, Part, Seed, TrainedOn
from fer_lightning.progress import track


def honest(faces: Faces, twins: Twins, validation_share: InnerShare, seed: Seed) -> Partition:
    """Test on the held-out folder, validate on a part of the training folder, and keep twins on one side.

    A training face with an identical or near twin in the held-out folder is removed. The validation part is stratified
    by class, and a group of twins is never divided.

    Args:
        validation_share: Share of the remaining training faces that validates, in (0, 1).
        seed: Decides the cut alone, so that runs of several training seeds choose on the same faces.

    Raises:
        UserError: If the table has no held-out faces, or too few to cut a validation part from.
    """
    train, test = _sides(faces, "honest")
    proves = "accuracy on faces that neither trained the network nor chose the checkpoint"
    return _clean("honest", faces, twins, train, test, validation_share, seed, proves)


def clean_test(faces: Faces, twins: Twins, validation_share: InnerShare, seed: Seed) -> Partition:
    """Test on the held-out faces without a twin in the training folder; no training face is removed.

    Published networks train on the whole folder, so their figures compare with this one. The validation part is cut as
    by ``honest``.

    Args:
        validation_share: Share of the training faces that validates, in (0, 1).
        seed: Decides the cut alone, so that runs of several training seeds choose on the same faces.

    Raises:
        UserError: As ``honest``, or if every held-out face has a twin in the training folder.
    """
    train, held_out = _sides(faces, "clean_test")
    groups = unite(twins.groups, faces.persons)
    test = held_out[~np.isin(groups[held_out], groups[train])]
    if not len(test):
        raise UserError(
            "protocol=clean_test leaves no face to test on, for every held-out face has a twin or its person among the "
            "training faces: use other faces as data.root, or protocol=kfold"
        )
    proves = "accuracy on the held-out faces without a twin among the training faces, unseen by network and checkpoint"
    partition = _clean("clean_test", faces, twins, train, test, validation_share, seed, proves)
    return replace(partition, left_out_test=len(held_out) - len(test))


def kfold(
    faces: Faces, twins: Twins, folds: Folds, fold: CountOrZero, validation_share: InnerShare, seed: Seed
) -> Partition:
    """Test on one of several folds of all faces, from whatever folder; twins and persons are in the same fold.

    Args:
        folds: Number of folds, 2 or more.
        fold: Number of the fold to report on, 0 to ``folds`` - 1; the others train.
        validation_share: Share of the other folds that chooses the checkpoint, in (0, 1).
        seed: Decides the folds and the cut.

    Raises:
        UserError: If a fold has no face.
    """
    rows = np.arange(len(faces))
    parts = divide(rows, faces, unite(twins.groups, faces.persons), [1 / folds] * folds, seed)
    if any(len(part) == 0 for part in parts):
        raise UserError(f"protocol.folds={folds} leaves a fold without a face: use fewer")
    test = parts[fold]
    proves = f"accuracy on fold {fold} of {folds}, unseen by this run; the figure is the mean over all folds"
    return _clean("kfold", faces, twins, np.setdiff1d(rows, test), test, validation_share, seed, proves)


def subject(
    faces: Faces, twins: Twins, folds: Folds, fold: CountOrZero, validation_share: InnerShare, seed: Seed
) -> Partition:
    """Test on one of several folds of persons, from whatever folder; all faces of a person are in the same fold.

    Args:
        folds: Number of folds, from 2 to the number of persons.
        fold: Number of the fold to report on, 0 to ``folds`` - 1; the others train.
        validation_share: Share of the faces of the other folds that chooses the checkpoint, in (0, 1).
        seed: Decides the folds and the cut.

    Raises:
        UserError: If no person is known, or there are fewer persons than folds.
    """
    if faces.persons is None:
        raise UserError(
            "protocol=subject reports on folds of persons, and data.root names none: give data.person a pattern of the "
            r"files' names, such as data.person='(S\d+)_', or use protocol=kfold"
        )
    proves = f"accuracy on persons whom this run has not seen, fold {fold} of {folds}; the figure is the mean over all"
    partition = kfold(faces, twins, folds, fold, validation_share, seed)
    return replace(partition, protocol="subject", proves=proves)


def folder(faces: Faces, twins: Twins) -> Partition:
    """Train and test on the two folders of the archive; choose the checkpoint on the test faces, as the paper does.

    Raises:
        UserError: If the table has no held-out faces.
    """
    train, test = _sides(faces, "folder")
    proves = "the best of several checkpoints on the faces that chose it"
    return _partition("folder", faces, twins, train, test, test, proves)


def official(faces: Faces, twins: Twins) -> Partition:
    """Train on FER2013's Training, validate on PublicTest, test on PrivateTest (the contest's protocol).

    In Kaggle's archive the number of a file tells its part, whatever folder it lies in.

    Raises:
        UserError: If one of the three parts is missing.
    """
    return _contest(faces, twins, "protocol=official", "protocol=honest")


def elsewhere(faces: Faces, twins: Twins, trained_on: TrainedOn | None) -> Partition:
    """Test on the faces that a network of somebody else has not been trained on.

    Args:
        trained_on: ``official`` for FER2013's Training, ``folder`` for the training folder, or a csv of the training
            faces, which may have the splits of all faces in a column split. None if it was trained on other faces.

    Raises:
        UserError: As ``official``, ``read_facts`` and ``split_of``, or if no face trains.
    """
    none = np.empty(0, np.int64)
    if trained_on is None:
        proves = "accuracy on faces that the network has not learnt, if its author is right"
        return _partition("elsewhere", faces, twins, none, none, np.arange(len(faces)), proves)
    if trained_on == "official":
        return _contest(faces, twins, "trained_on=official", "trained_on=folder")
    proves = "accuracy of a network that was trained elsewhere"
    if trained_on == "folder":
        train, test = _sides(faces, "folder")
        return _partition("folder", faces, twins, train, none, test, proves)
    facts = read_facts(trained_on, "trained_on")
    parts = np.full(len(faces), "test", dtype="<U10")
    cells = facts.columns.get("split") or ["train"] * len(facts.lines)
    positions = facts.find(faces.names.tolist(), faces.rows)
    for position, cell, line in zip(positions, cells, facts.lines, strict=True):
        if position >= 0:
            parts[position] = split_of(cell, f"{facts.option}, line {line}")
    train, validation, test = (np.flatnonzero(parts == split) for split in SPLITS)
    if not len(train):
        raise UserError(f"{facts.option} names no training face: its column split must say train of some")
    return _partition("elsewhere", faces, twins, train, validation, test, proves)


def paper(
    faces: Faces, twins: Twins, pictures: dict[str, Part[Chain]], test_share: InnerShare, seed: Seed
) -> Partition:
    """Make the pictures of the paper's table 2, then split them: siblings of a test picture are trained on.

    This is one reading of the paper, which does not say whether it splits before or after the augmentation.

    Args:
        pictures: Names and chains of the pictures that are made of each face beside itself.
        test_share: Share of each class's pictures that is held out, and chooses the checkpoint too.
        seed: Decides the split.
    """
    multiplied = multiply(faces, pictures)
    rows = np.arange(len(multiplied))  # each picture is a group of its own
    test, train = deal(rows, multiplied.labels, rows, [test_share, 1 - test_share], seed)
    origins = np.tile(np.arange(len(faces)), len(pictures) + 1)
    proves = "how well a network knows faces again that it was trained on in another crop or angle"
    return Partition("paper", multiplied, origins, twins, train, train, test, test, proves)


def multiply(faces: Faces, pictures: Mapping[str, Chain]) -> Faces:
    """Return all faces, then for each kind of picture all faces in that kind: N x (1 + kinds) rows."""
    images, names = [faces.images], [faces.names]
    for number, (kind, chain) in enumerate(pictures.items(), start=1):
        drawn = faces.images.copy()
        for row, image in enumerate(track(faces.images, f"drawing {kind} pictures")):
            drawn[row] = chain(image, 0, number * len(faces) + row)
        images.append(drawn)
        names.append(np.array([f"{name}#{kind}" for name in faces.names]))
    columns = replace(faces, images=faces.images[:, :0]).subset(np.tile(np.arange(len(faces)), len(images)))
    return replace(columns, images=np.concatenate(images), names=np.concatenate(names))


def _contest(faces: Faces, twins: Twins, option: str, other: str) -> Partition:
    """Return the partition of ``official``; a refusal names the option that chose it, and another one."""
    parts = contest_parts(faces)
    train, validation, test = (np.flatnonzero(parts == split) for split in SPLITS)
    if not (len(train) and len(validation) and len(test)):
        raise UserError(
            f"{option} needs FER2013's Training, PublicTest and PrivateTest, and these faces do not have all "
            f"three{f'; {no_contest(faces)}' if faces.rows is None else ''}: use fer2013.csv, its folder layout or "
            f"Kaggle's archive as data.root, or {other}"
        )
    proves = "the contest's figure of 2013: PrivateTest after choosing on PublicTest"
    return _partition("official", faces, twins, train, validation, test, proves)


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
    """Return a partition without twins in two parts; its validation part is taken from the training faces."""
    groups = unite(twins.groups, faces.persons)
    remaining = train[~np.isin(groups[train], groups[test])]
    if not len(remaining):
        cause, protocols = "a twin", "protocol=folder"
        if faces.persons is not None:
            cause, protocols = "a twin or its person", "protocol=subject, or protocol=folder"
        raise UserError(
            f"protocol={protocol} leaves no face to train on, for every training face has {cause} among the held-out "
            f"ones: use other faces as data.root, or {protocols}, whose scores are labelled leaky"
        )
    validation, rest = divide(remaining, faces, groups, [validation_share, 1 - validation_share], seed)
    if not (len(validation) and len(rest)):
        raise UserError("too few training faces to cut a validation part from: give data.root more than two per class")
    partition = _partition(protocol, faces, twins, rest, validation, test, proves)
    return replace(partition, left_out=len(train) - len(remaining))


def _partition(
    protocol: str, faces: Faces, twins: Twins, train: np.ndarray, validation: np.ndarray, test: np.ndarray, proves: str
) -> Partition:
    """Return a partition of the source's table, with the training faces as gallery."""
    return Partition(protocol, faces, np.arange(len(faces)), twins, train, train, validation, test, proves)


def _sides(faces: Faces, protocol: str) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows of the training folder, and those of the held-out ones."""
    trains = faces.splits == "train"
    if trains.all():
        raise UserError(
            f"protocol={protocol} reports on held-out faces, and data.root has none: add a folder validation/ or test/ "
            "beside train/, give train/ itself as data.root, of which a test part is drawn, or use protocol=kfold"
        )
    return np.flatnonzero(trains), np.flatnonzero(~trains)
