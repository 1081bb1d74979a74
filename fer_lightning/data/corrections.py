"""Corrections of labels: a csv that gives training faces other labels, or leaves them out."""

import hashlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fer_lightning.data.classes import class_of
from fer_lightning.data.faces import Faces
from fer_lightning.data.rows import read_rows
from fer_lightning.errors import UserError
from fer_lightning.names import file_name, read_name, write_name
from fer_lightning.words import counted

if TYPE_CHECKING:
    from fer_lightning.data.partition import Partition  # which takes cv2 and scipy with it

REMEDY = "give the corrections.csv of `python -m fer_lightning labels RUN`, or data.corrections=null"


class Correction(NamedTuple):
    """One line of the file."""

    line: int
    file: str  # name of the face, as ``names.read_name`` reads it
    label: str  # of the face in its source; empty if the file does not say
    believed: str  # name of the new class; empty to leave the face out


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


def read_corrections(corrections: str) -> list[Correction]:
    """Return the corrections in a csv with the columns file and believed, and label if it is there.

    Raises:
        UserError: If the file cannot be read, lacks a column or cell, or names a face twice.
    """
    option = f"data.corrections={corrections:.200}"
    (line, titles), *rows = list(read_rows(corrections, option, REMEDY)) or [(1, [])]
    header = [title.lower() for title in titles]
    lines: dict[str, Correction] = {}
    try:
        if missing := sorted({"file", "believed"} - set(header)):
            raise ValueError(f"no column {', '.join(missing)}")
        for line, cells in rows:
            if len(cells) != len(header):
                raise ValueError(f"{len(cells)} cells, and the header has {len(header)}")
            row = dict(zip(header, cells, strict=True))
            name = read_name(row["file"])
            if name in lines:
                raise ValueError(f"{row['file']} is already in line {lines[name].line}")
            lines[name] = Correction(line, name, row.get("label", ""), row["believed"])
    except ValueError as error:
        raise UserError(f"{option}, line {line}: {error}; {REMEDY}") from error
    return list(lines.values())


def correct(partition: "Partition", faces: Faces, corrections: str) -> "Partition":
    """Return the partition with other labels of training faces, and without those that are left out.

    What a protocol has dealt stays: the validation and test faces, their labels, and twins. So a score compares with
    that of the same partition without corrections.

    Raises:
        UserError: As ``read_corrections``; or if a face or class is unknown, a face has another label than the file
            says, or a class has no training face left.
    """
    rows = {read_name(name): row for row, name in enumerate(faces.names)}
    labels = faces.labels.copy()
    for correction in read_corrections(corrections):
        if problem := _wrong(correction, rows, faces):
            raise UserError(f"data.corrections={corrections}, line {correction.line}: {problem}; {REMEDY}")
        label = class_of(correction.believed, faces.classes)
        labels[rows[correction.file]] = -1 if label is None else faces.classes.index(label)
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


def _wrong(correction: Correction, rows: dict[str, int], faces: Faces) -> str:
    """Return why a correction does not fit the faces, as a clause; empty if it does."""
    if correction.file not in rows:
        return f"{faces.source} has no face {correction.file!r:.200}"
    label = faces.classes[faces.labels[rows[correction.file]]]
    if correction.label and class_of(correction.label, faces.classes) != label:
        return f"the face is labelled {label} in {faces.source}, and not {correction.label!r:.60}"
    if correction.believed and class_of(correction.believed, faces.classes) is None:
        return f"{correction.believed!r:.60} is none of the classes {', '.join(faces.classes)}"
    return ""
