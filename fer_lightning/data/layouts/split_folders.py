"""Folders of splits that hold a folder for each class: ``train/angry/1.jpg``."""

from collections.abc import Sequence
from pathlib import PurePosixPath

from fer_lightning.data.faces import SPLITS_BY_NAME, USAGES
from fer_lightning.data.layouts import Contents, Entry
from fer_lightning.data.layouts.class_folders import NO_CLASSES
from fer_lightning.data.listing import Listing, is_picture, shorten
from fer_lightning.errors import UserError
from fer_lightning.names import write_name


def find(listing: Listing, classes: Sequence[str] | None) -> Contents | None:
    """Return the pictures of the outermost tree of split/class folders, sorted by their last three names."""
    pictures = [name for name in listing.names if is_picture(name)]
    trees: dict[tuple[str, ...], list[str]] = {}  # folder of the split folders -> its pictures
    for name in pictures:
        parts = PurePosixPath(name).parts
        if len(parts) > 2 and parts[-3].lower() in SPLITS_BY_NAME and parts[-2].lower() not in NO_CLASSES:
            trees.setdefault(parts[:-3], []).append(name)
    if not trees:
        return None
    outermost, *copies = sorted(trees, key=lambda parts: (len(parts), parts))
    for copy in copies:
        if copy != (*outermost, "images"):  # Kaggle's archive holds its tree a second time under images/images/
            folders = shorten("/".join(parts) or "." for parts in (outermost, copy))
            raise UserError(
                f"{listing.path} holds more than one tree of faces: {folders}. Point data.root at one of them."
            )
        listing.remarks[f"Pictures of a second copy under {'/'.join(copy)}/ ignored"] += len(trees[copy])
    if outside := len(pictures) - sum(map(len, trees.values())):
        listing.remarks["Pictures outside split/class folders ignored"] += outside
    names = sorted(trees[outermost], key=lambda name: PurePosixPath(name).parts[-3:])
    return Contents([_entry(name) for name in names])


def _entry(name: str) -> Entry:
    folder, label, file = PurePosixPath(name).parts[-3:]
    split = USAGES.get(file.split("_")[0].lower(), SPLITS_BY_NAME[folder.lower()])  # PublicTest_123.jpg
    return Entry(write_name(f"{folder}/{label}/{file}"), split, label, name)
