"""The contents of a source: one entry for each face, before its picture is opened."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

USAGES = {"training": "train", "publictest": "validation", "privatetest": "test"}  # FER2013's words for its parts
SPLITS_BY_NAME = {"train": "train", "validation": "validation", "valid": "validation", "val": "validation"}
SPLITS_BY_NAME |= {"test": "test"} | USAGES


class Entry(NamedTuple):
    """One face of a source.

    Attributes:
        name: Path of the face, as ``names.write_name`` writes it; unique in the source.
        split: "train", "validation" or "test"; empty where the source has no split.
        label: Class in the words of the source, such as "Anger".
        picture: Path of the picture inside the source, or its pixels, (H, W) uint8.
        person: Name of the person; None if it is not known.
    """

    name: str
    split: str
    label: str
    picture: str | np.ndarray
    person: str | None = None


@dataclass(frozen=True)
class Contents:
    """The faces of a source, as its layout lists them.

    Attributes:
        entries: The faces in their order. A list where they are pictures, which are opened later.
        classes: Classes of the labels, where the layout fixes them; None where they are those of the entries.
        noun: Noun for what holds the labels, such as "folder".
        total: Number of entries at most, where they are no list; None if it is not known.
        missing: (name, reason) of faces that the source lacks or that have no label; complete after the last entry.
    """

    entries: Iterable[Entry]
    classes: tuple[str, ...] | None = None
    noun: str = "folder"
    missing: list[tuple[str, str]] = field(default_factory=list)
    total: int | None = None
