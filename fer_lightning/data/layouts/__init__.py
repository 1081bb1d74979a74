"""Layouts of data sets, one module for each.

A module has one function, ``find(listing, classes)``. It looks at the names in a source, and at small label files, and
returns the ``Contents``, or None if the source has another layout. ``classes`` are those of the option, or None.
"""

from collections.abc import Sequence
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from fer_lightning.data.classes import arrange
from fer_lightning.data.contents import Contents
from fer_lightning.data.faces import CLASSES
from fer_lightning.data.listing import DAMAGE, Listing, locate, outline
from fer_lightning.errors import UserError

if TYPE_CHECKING:  # it reads RAF-DB's list by a layout
    from fer_lightning.data.lists import LabelList

GENERAL = ("split_folders", "fer2013", "class_folders")  # tried after the layouts of single data sets, in this order


def find_classes(root: str | None, labelled: "LabelList | None" = None) -> tuple[str, ...]:
    """Return the classes of a source by the names in it, or by a list, without opening a picture.

    The result is FER2013's seven for the synthetic faces, Kaggle's archive and a csv, whose numbers have no names; also
    for a source that cannot be listed, because the reader names the reason.
    """
    if labelled is None and root in (None, "kaggle"):
        return CLASSES
    try:
        if labelled is not None:
            return labelled.classes() or CLASSES
        contents = find_contents(outline(locate(str(root))), None)
    except (UserError, OSError, *DAMAGE):
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
