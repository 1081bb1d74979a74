"""A folder for each class, without a split: ``angry/1.jpg``."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from fer_lightning.data.faces import SPLITS_BY_NAME
from fer_lightning.data.layouts import Contents, Entry
from fer_lightning.data.listing import Listing, is_picture
from fer_lightning.names import write_name

NO_CLASSES = {"image", "images"}  # names of folders that hold the pictures of all classes


def find(listing: Listing, classes: Sequence[str] | None) -> Contents | None:
    """Return the pictures of two or more class folders that lie side by side, sorted by their last two names."""
    pictures = [name for name in listing.names if is_picture(name)]
    folders: dict[tuple[str, ...], set[str]] = {}  # folder of the class folders -> classes
    for *parents, folder in {PurePosixPath(name).parts[:-1] for name in pictures if "/" in name}:
        if folder.lower() not in NO_CLASSES | SPLITS_BY_NAME.keys():
            folders.setdefault(tuple(parents), set()).add(folder)
    if len(folders) != 1 or len(*folders.values()) < 2:
        return None
    ((root, labels),) = folders.items()
    entries = []
    for name in pictures:
        parts = PurePosixPath(name).parts
        if len(parts) > 1 and parts[:-2] == root and parts[-2] in labels:
            entries.append(Entry(write_name("/".join(parts[-2:])), "", parts[-2], name))
    if outside := len(pictures) - len(entries):
        listing.remarks["Pictures outside class folders ignored"] += outside
    return Contents(sorted(entries))
