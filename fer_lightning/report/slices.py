"""Slices of the test faces: the accuracy by brightness, sharpness, twins, agreement of people and other columns."""

import csv
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from fer_lightning.data.partition import Partition
from fer_lightning.files import write_csv
from fer_lightning.report.statistics import wilson
from fer_lightning.words import counted, number, percent

NAME = "slices.csv"
FEWEST = 30  # faces of a slice that may be called worse or better
MOST = 12  # values of a column; numbers beyond are cut into quarters, texts into the most frequent ones and OTHER
OTHER = "other"
WORSE, BETTER = "worse", "better"


class Slice(NamedTuple):
    """The accuracy on a part of the test faces."""

    column: str
    value: str
    faces: int
    accuracy: float
    low: float  # of the 95 % interval
    high: float
    judgement: str = ""  # ``WORSE`` or ``BETTER`` than all faces, where the interval leaves their accuracy

    def __str__(self) -> str:
        interval = f"{number(self.low)} to {number(self.high)}"
        return f"{self.column} {self.value}: {percent(self.accuracy)} of {counted(self.faces, 'face')} ({interval})"


def columns_of(partition: Partition, rows: np.ndarray, descriptions: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Return columns that describe some faces of a partition: (B,) numbers, or texts.

    Args:
        partition: The partition.
        rows: (B,) int64, rows of its table.
        descriptions: Name -> column (N,) of data.metadata, one value for each face of the tested data set.
    """
    origins, images = partition.origins[rows], partition.faces.images[rows]
    sizes = np.bincount(partition.twins.groups)[partition.twins.groups[origins]]
    columns = {
        "brightness (mean grey)": images.mean(axis=(1, 2)),
        "sharpness": np.array([cv2.Laplacian(image, cv2.CV_32F).std() for image in images]),
        "size of the group of twins": np.array(["1", "2", "3 or more"])[np.minimum(sizes, 3) - 1],
    }
    if partition.measurable:
        columns["twin in training"] = np.where(partition.leaked(rows), "yes", "no")
    for name, column in descriptions.items():
        first = len(partition.twins.groups) - len(column)  # faces of another data set that trained stand before these
        columns[name] = column[origins - first]
    return columns


def measure(columns: Mapping[str, np.ndarray], right: np.ndarray, groups: np.ndarray) -> list[Slice]:
    """Return the accuracy of each value of each column: slices that are worse than all faces first, then by accuracy.

    The intervals are Wilson's. Twins are one observation, so a slice has as many independent faces as groups of twins.

    Args:
        columns: Name -> (B,) numbers, or texts where "" is unknown. One with a single value is left out.
        right: (B,) bool.
        groups: (B,) int64, the group of twins of each face.
    """
    slices = []
    for name, column in columns.items():
        parts = list(_values(column))
        if len(parts) < 2:
            continue
        for value, part in parts:
            faces, accuracy = int(part.sum()), float(right[part].mean())
            low, high = wilson(accuracy, len(np.unique(groups[part])))
            judgement = ""
            if faces >= FEWEST and not low <= right.mean() <= high:
                judgement = WORSE if high < right.mean() else BETTER
            slices.append(Slice(name, value, faces, accuracy, low, high, judgement))
    return sorted(slices, key=lambda entry: (entry.judgement != WORSE, entry.accuracy))


def _values(column: np.ndarray) -> Iterator[tuple[str, np.ndarray]]:
    """Yield each value of a column and the faces that have it, (B,) bool."""
    frequent = [value for value, _ in Counter(column.tolist()).most_common() if value != ""]
    numbers = column
    if column.dtype.kind == "U" and len(frequent) > MOST:
        try:
            numbers = np.array([float(value or "nan") for value in column])
        except ValueError:
            frequent = frequent[: MOST - 1]
            column = np.where(np.isin(column, [*frequent, ""]), column, OTHER)
            frequent.append(OTHER)
    if numbers.dtype.kind == "f":
        filled = numbers[np.isfinite(numbers)]
        quarters = np.searchsorted(np.quantile(filled, (0.25, 0.5, 0.75)), numbers)
        for quarter in np.unique(quarters[np.isfinite(numbers)]):
            part = (quarters == quarter) & np.isfinite(numbers)
            yield f"{numbers[part].min():.3g} to {numbers[part].max():.3g}", part
        return
    for value in sorted(frequent):
        yield value, column == value


def write_slices(folder: Path, slices: list[Slice]) -> None:
    """Write slices.csv."""
    rows = [[*entry[:3], *(f"{share:.6f}" for share in entry[3:6]), entry.judgement] for entry in slices]
    write_csv(folder / NAME, Slice._fields, rows)


def read_slices(folder: Path) -> list[Slice]:
    """Return the slices in a folder; empty without the file."""
    if not (folder / NAME).is_file():
        return []
    with (folder / NAME).open(newline="", encoding="utf-8") as file:
        _, *rows = csv.reader(file)
    return [
        Slice(column, value, int(faces), float(accuracy), float(low), float(high), judgement)
        for column, value, faces, accuracy, low, high, judgement in rows
    ]
