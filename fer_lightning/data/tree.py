"""Which pictures of a source are faces, and what their paths say: split, class and name."""

import os
import zipfile
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from io import BytesIO
from itertools import islice
from pathlib import Path, PurePosixPath

from fer_lightning.data.classes import arrange, class_of
from fer_lightning.data.decoding import USAGES
from fer_lightning.data.faces import CLASSES
from fer_lightning.data.listing import Files, Remarks, is_picture, locate, some, walk
from fer_lightning.errors import UserError
from fer_lightning.names import file_name, write_name

SPLIT_FOLDERS = {"train": "train", "validation": "validation", "valid": "validation", "val": "validation"}
SPLIT_FOLDERS |= {"test": "test"} | USAGES


def choose_pictures(path: Path, files: Files, remarks: Remarks) -> list[str]:
    """Return the pictures of the outermost tree of split/class folders, sorted; none where there is no tree."""
    pictures = [name for name in files if is_picture(name)]
    trees: dict[tuple[str, ...], list[str]] = {}  # folder of the split folders -> its pictures
    for name in pictures:
        parts = PurePosixPath(name).parts
        if len(parts) > 2 and parts[-3].lower() in SPLIT_FOLDERS:
            trees.setdefault(parts[:-3], []).append(name)
    if not trees:
        return []
    prefix, *others = sorted(trees, key=lambda parts: (len(parts), parts))
    for other in others:
        if other != (*prefix, "images"):  # Kaggle's archive holds its tree again under images/images/
            where = some("/".join(parts) or "." for parts in (prefix, other))
            raise UserError(f"{path} holds more than one tree of faces: {where}. Point data.root at one of them.")
        remarks["Pictures of a second copy under {}/ ignored".format("/".join(other))] += len(trees[other])
    if outside := len(pictures) - sum(map(len, trees.values())):
        remarks["Pictures outside split/class folders ignored"] += outside
    if len(files) > len(pictures):
        remarks["Files that are hidden or no pictures ignored"] += len(files) - len(pictures)
    return sorted(trees[prefix], key=lambda name: PurePosixPath(name).parts[-3:])


def find_classes(root: str | None) -> tuple[str, ...]:
    """Return the classes of a source by the names of its folders, without opening a picture.

    FER2013's seven are those of the synthetic faces, of Kaggle's archive and of a csv, whose numbers have no names; and
    of what cannot be listed: reading it says why.
    """
    if root in (None, "kaggle"):
        return CLASSES
    try:
        path = locate(str(root))
        if path.is_dir():
            names = list(_first_in_folders(path))
        elif path.suffix.lower() == ".csv":
            names = []
        else:
            names = _first_in_zip(path, path.stat().st_mtime_ns)
        chosen = choose_pictures(path, dict.fromkeys(names, BytesIO), Remarks())
    except (UserError, OSError, zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError):
        return CLASSES
    return arrange(PurePosixPath(name).parts[-2] for name in chosen) or CLASSES


def check_folders(path: Path, names: Iterable[str], classes: Sequence[str]) -> None:
    """Refuse chosen pictures whose folder stands for no class."""
    folders = {PurePosixPath(name).parts[-3:-1] for name in names}
    unknown = sorted("/".join(folder) for folder in folders if class_of(folder[-1], classes) is None)
    if unknown:
        raise UserError(
            f"{path}: data.classes=[{','.join(classes)}] lacks the class folders {some(unknown)}; add their names, or "
            "leave data.classes out, which takes all folders."
        )


def describe(name: str, classes: Sequence[str]) -> tuple[str, str, str, list[str]]:
    """Return what the path of a chosen picture says: name, split, class, and a remark where a class is misspelt."""
    folder, class_folder, file = PurePosixPath(name).parts[-3:]
    split = USAGES.get(file.split("_")[0].lower(), SPLIT_FOLDERS[folder.lower()])  # PublicTest_123.jpg
    label = str(class_of(class_folder, classes))  # check_folders has found one
    remarks = [] if label == class_folder else [f"Pictures of folder {class_folder} read as {label}"]
    return write_name(f"{folder}/{class_folder}/{file}"), split, label, remarks


def _first_in_folders(root: Path) -> Iterator[str]:
    """Yield the first picture of every folder that has one: enough to know the class folders."""
    for folder, _, names in walk(root):
        paths = (file_name(os.path.relpath(os.path.join(folder, name), root).replace(os.sep, "/")) for name in names)
        yield from islice(filter(is_picture, paths), 1)


@cache
def _first_in_zip(path: Path, modified: int) -> list[str]:
    """Return the first picture of every folder of an archive of that time, as ``_first_in_folders`` does."""
    first: dict[str, str] = {}
    with zipfile.ZipFile(path) as archive:
        for name in (name.replace("\\", "/") for name in archive.namelist()):
            folder, _, _ = name.rpartition("/")
            if folder not in first and is_picture(name):
                first[folder] = name
    return list(first.values())
