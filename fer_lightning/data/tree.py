"""The tree of split and class folders in a source: which pictures are faces, and their split, class and name."""

import zipfile
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from io import BytesIO
from os.path import join
from pathlib import Path, PurePosixPath

from fer_lightning.data.classes import arrange, class_of
from fer_lightning.data.decoding import USAGES
from fer_lightning.data.faces import CLASSES
from fer_lightning.data.listing import Files, Remarks, is_picture, locate, relative_name, shorten, walk
from fer_lightning.errors import UserError
from fer_lightning.names import write_name

SPLIT_FOLDERS = {"train": "train", "validation": "validation", "valid": "validation", "val": "validation"}
SPLIT_FOLDERS |= {"test": "test"} | USAGES


def choose_pictures(path: Path, files: Files, remarks: Remarks) -> list[str]:
    """Return the sorted pictures of the outermost tree of split/class folders; an empty list if there is no tree."""
    pictures = [name for name in files if is_picture(name)]
    trees: dict[tuple[str, ...], list[str]] = {}  # folder of the split folders -> its pictures
    for name in pictures:
        parts = PurePosixPath(name).parts
        if len(parts) > 2 and parts[-3].lower() in SPLIT_FOLDERS:
            trees.setdefault(parts[:-3], []).append(name)
    if not trees:
        return []
    outermost, *copies = sorted(trees, key=lambda parts: (len(parts), parts))
    for copy in copies:
        if copy != (*outermost, "images"):  # Kaggle's archive holds its tree a second time under images/images/
            folders = shorten("/".join(parts) or "." for parts in (outermost, copy))
            raise UserError(f"{path} holds more than one tree of faces: {folders}. Point data.root at one of them.")
        remarks[f"Pictures of a second copy under {'/'.join(copy)}/ ignored"] += len(trees[copy])
    if outside := len(pictures) - sum(map(len, trees.values())):
        remarks["Pictures outside split/class folders ignored"] += outside
    if len(files) > len(pictures):
        remarks["Files that are hidden or no pictures ignored"] += len(files) - len(pictures)
    return sorted(trees[outermost], key=lambda name: PurePosixPath(name).parts[-3:])


def find_classes(root: str | None) -> tuple[str, ...]:
    """Return the classes of a source by the names of its folders, without opening a picture.

    The result is FER2013's seven for the synthetic faces, Kaggle's archive and a csv, whose numbers have no names; also
    for a source that cannot be listed, because the reader names the reason.
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
        pictures = choose_pictures(path, dict.fromkeys(names, BytesIO), Remarks())
    except (UserError, OSError, zipfile.BadZipFile, NotImplementedError, UnicodeDecodeError):
        return CLASSES
    return arrange(PurePosixPath(name).parts[-2] for name in pictures) or CLASSES


def check_folders(path: Path, names: Iterable[str], classes: Sequence[str]) -> None:
    """Refuse pictures in a class folder that is none of the classes."""
    folders = {PurePosixPath(name).parts[-3:-1] for name in names}
    unknown = sorted("/".join(folder) for folder in folders if class_of(folder[-1], classes) is None)
    if unknown:
        raise UserError(
            f"{path}: data.classes=[{','.join(classes)}] lacks the class folders {shorten(unknown)}; add their names, "
            "or leave data.classes out, which takes all folders."
        )


def describe(name: str, classes: Sequence[str]) -> tuple[str, str, str, list[str]]:
    """Return name, split and class of a picture by its path, and a remark if its folder is another spelling."""
    folder, class_folder, file = PurePosixPath(name).parts[-3:]
    split = USAGES.get(file.split("_")[0].lower(), SPLIT_FOLDERS[folder.lower()])  # PublicTest_123.jpg
    label = str(class_of(class_folder, classes))  # never None after check_folders
    remarks = [] if label == class_folder else [f"Pictures of folder {class_folder} read as {label}"]
    return write_name(f"{folder}/{class_folder}/{file}"), split, label, remarks


def _first_in_folders(root: Path) -> Iterator[str]:
    """Yield the first picture of every folder: enough to know the class folders."""
    for folder, _, names in walk(root):
        paths = (relative_name(join(folder, name), root) for name in names)
        if picture := next(filter(is_picture, paths), None):
            yield picture


@cache
def _first_in_zip(path: Path, modified: int) -> list[str]:
    """Return the first picture of every folder in an archive; ``modified`` is its time, by which results are cached."""
    first: dict[str, str] = {}
    with zipfile.ZipFile(path) as archive:
        for name in (name.replace("\\", "/") for name in archive.namelist()):
            folder, _, _ = name.rpartition("/")
            if folder not in first and is_picture(name):
                first[folder] = name
    return list(first.values())
