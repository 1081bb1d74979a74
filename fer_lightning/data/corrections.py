"""Corrections of labels: a csv that gives training faces other labels, or leaves them out."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fer_lightning.data.classes import class_of
from fer_lightning.data.faces import Faces
from fer_lightning.data.facts import Facts, read_facts
from fer_lightning.errors import UserError
from fer_lightning.names import file_name, write_name
from fer_lightning.words import counted

if TYPE_CHECKING:
    from fer_lightning.data.partition import Partition  # which takes cv2 and scipy with it

REMEDY = "the corrections.csv of `python -m fer_lightning labels RUN`, or data.corrections=null"


class Corrected(NamedTuple):
    """Effect of a file of corrections on a partition."""

    file: str  # name
    relabelled: int  # training faces
    left_out: int  # training faces
    passed_over: int  # corrections of faces that do not train
    digest: str  # SHA-256 of the corrected labels of the whole table

    def __str__(self) -> str:
        return (
            f"{self.file} ({self.digest[:8]}): {counted(self.relabelled, 'training face')} relabelled, "
            f"{self.left_out:,} left out, {counted(self.passed_over, 'correction')} of other faces passed over"
        )


def read_corrections(corrections: str) -> Facts:
    """Return the corrections in a csv with the columns file and believed, and label if it is there.

    Raises:
        UserError: As ``read_facts``, or if there is no column believed.
    """
    facts = read_facts(corrections, "data.corrections", REMEDY)
    if "believed" not in facts.columns:
        raise UserError(f"{facts.option} has no column believed; give {REMEDY}")
    return facts


def correct(partition: "Partition", faces: Faces, corrections: str) -> "Partition":
    """Return the partition with other labels of training faces, and without those that are left out.

    What a protocol has dealt stays: the validation and test faces, their labels, and twins. So a score compares with
    that of the same partition without corrections.

    Raises:
        UserError: As ``read_corrections`` and ``Facts.find``; or if a face or class is unknown, a face has another
            label than the file says, or a class has no training face left.
    """
    facts, labels = read_corrections(corrections), faces.labels.copy()
    rows = facts.find(faces.names.tolist(), faces.rows)
    stated = facts.columns.get("label") or [""] * len(rows)
    columns = facts.lines, facts.faces, rows, stated, facts.columns["believed"]
    for line, file, row, label, believed in zip(*columns, strict=True):
        if problem := _wrong(faces, file, row, label, believed):
            raise UserError(f"{facts.option}, line {line}: {problem}; give {REMEDY}")
        name = class_of(believed, faces.classes)
        labels[row] = -1 if name is None else faces.classes.index(name)
    training = np.union1d(partition.train, partition.gallery)
    training = np.setdiff1d(training, np.union1d(partition.validation, partition.test))
    new_labels = partition.faces.labels.copy()
    new_labels[training] = labels[partition.origins[training]]
    dropped = training[new_labels[training] < 0]
    train, gallery = np.setdiff1d(partition.train, dropped), np.setdiff1d(partition.gallery, dropped)
    new_labels = np.where(new_labels < 0, partition.faces.labels, new_labels)  # no part has these rows any more
    if lost := set(partition.faces.labels[partition.train]) - set(new_labels[train]):
        name = faces.classes[min(lost)]
        raise UserError(f"data.corrections={corrections} leaves no training face of {name}: delete some of its lines")
    changed = np.flatnonzero(labels != faces.labels)
    trained = changed[np.isin(changed, partition.origins[training])]
    left_out = int((labels[trained] < 0).sum())
    corrected = Corrected(
        write_name(file_name(Path(corrections).name)),
        len(trained) - left_out,
        left_out,
        len(changed) - len(trained),
        hashlib.sha256(labels.tobytes()).hexdigest(),
    )
    table = replace(partition.faces, labels=new_labels)
    return replace(partition, faces=table, train=train, gallery=gallery, corrected=corrected)


def _wrong(faces: Faces, file: str, row: int, label: str, believed: str) -> str:
    """Return why a correction does not fit the faces, as a clause; empty if it does."""
    if row < 0:
        return f"{faces.source} has no face {file!r:.200}"
    name = faces.classes[faces.labels[row]]
    if label and class_of(label, faces.classes) != name:
        return f"the face is labelled {name} in {faces.source}, and not {label!r:.60}"
    if believed and class_of(believed, faces.classes) is None:
        return f"{believed!r:.60} is none of the classes {', '.join(faces.classes)}"
    return ""
