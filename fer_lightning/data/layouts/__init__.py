"""Layouts of data sets, one module for each.

A module has one function, ``find(listing, classes)``. It looks at the names in a source, and at small label files, and
returns the ``Contents``, or None if the source has another layout. ``classes`` are those of the option, or None.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from fer_lightning.data.classes import arrange
from fer_lightning.data.faces import CLASSES
from fer_lightning.data.listing import Listing, explaining, locate, outline
from fer_lightning.errors import UserError

if TYPE_CHECKING:  # it reads RAF-DB's list by a layout
    from fer_lightning.data.lists import LabelList

GENERAL = ("split_folders", "fer2013", "class_folders")  # tried after the layouts of single data sets, in this order


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


def find_classes(root: str | None, labels: "LabelList | None" = None) -> tuple[str, ...]:
    """Return the classes of a source by the names in it, or by a list, without opening a picture.

    The result is FER2013's seven for the synthetic faces, Kaggle's archive and a csv, whose numbers have no names; also
    for a source that cannot be listed, because the reader names the reason.
    """
    if labels is None and root in (None, "kaggle"):
        return CLASSES
    try:
        if labels is not None:
            return labels.classes() or CLASSES
        path = locate(str(root))
        with explaining(path):
            contents = find_contents(outline(path), None)
    except UserError:
        return CLASSES
    if contents is None:
        return CLASSES
    return contents.classes or arrange(entry.label for entry in contents.entries)


def find_contents(listing: Listing, classes: Sequence[str] | None) -> Contents | None:
    """Return the contents by the first layout that knows the source; None if no layout does."""
    single = {module.name for module in iter_modules(__path__)} - set(GENERAL)
    for name in (*sorted(single), *GENERAL):
        contents: Contents | None = import_module(f"{__name__}.{name}").find(listing, classes)
        if contents is not None:
            return contents
    return None
