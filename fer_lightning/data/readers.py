"""Folders, zip archives and FER2013's csv -> ``Faces``: the scan that names every bad file.

folder | zip | csv  ->  {path: how to open it}  ->  pictures or csv rows  ->  Faces  ->  cache
"""

import hashlib
import logging
import time
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from fer_lightning.data.cache import load_arrays, save_arrays
from fer_lightning.data.classes import wrong_names
from fer_lightning.data.demo import SOURCE, draw_faces, drawing
from fer_lightning.data.faces import CLASSES, Faces, fingerprint
from fer_lightning.data.listing import (
    KAGGLE,
    REMEDY,
    Files,
    Remarks,
    closed,
    download,
    list_folder,
    list_zip,
    locate,
    no_archive,
    no_layout,
    some,
)
from fer_lightning.data.scans import Scan, read_csv, read_pictures
from fer_lightning.data.tree import check_folders, choose_pictures, find_classes
from fer_lightning.data.votes import VOTED, relabel
from fer_lightning.errors import UserError
from fer_lightning.names import file_name, write_name

log = logging.getLogger(__name__)

CACHE_VERSION = 2  # raise it with every change to what the same source reads as
MAX_UNREADABLE_SHARE = 0.1
CSV_NAMES = ("fer2013.csv", "icml_face_data.csv")


def read_faces(
    root: str | None,
    cache_dir: str,
    drawn: Mapping[str, Any],
    image_size: int,
    classes: Sequence[str] | None = None,
    votes: str | None = None,
) -> Faces:
    """Return all faces of a source, pictures sorted by name, csv rows as they come; from the cache where it has them.

    Args:
        root: A folder, .zip or .csv; "kaggle" to download the paper's archive; None for synthetic faces.
        cache_dir: Folder of the cache.
        drawn: Arguments of ``draw_faces``, without the size.
        image_size: Height and width that every face is resized to or drawn at, pixels.
        classes: Names of the classes in the order of the labels, or of the numbers of a csv; None for those of the
            source's folders. FER2013's seven are numbered in a csv as FER2013 numbers them.
        votes: FER+'s file of votes, which label the rows of ``fer2013.csv`` in place of its own labels; None for those.

    Raises:
        UserError: If the source is missing, unsafe or damaged, or has not all classes, or more than
            ``MAX_UNREADABLE_SHARE`` of its pictures are unreadable.
    """
    if votes is not None:
        return relabel(read_faces(root, cache_dir, drawn, image_size, CLASSES), votes, classes or VOTED)
    names = find_classes(root) if classes is None else tuple(map(str, classes))
    if wrong := wrong_names(names):
        raise UserError(f"data.root={root} with {wrong}")
    if root is None:
        if names != CLASSES:
            raise UserError(
                "data.classes is for faces of your own, and data.root=null draws faces of seven: leave it out"
            )
        cache = Path(cache_dir) / f"drawn-v{CACHE_VERSION}-{image_size}px-{drawing(drawn)}.npz"
        return load_or_make(cache, SOURCE, image_size, names, lambda: draw_faces(**drawn, image_size=image_size))
    path = download() if root == "kaggle" else locate(root)
    source = KAGGLE if root == "kaggle" else write_name(file_name(path.name))
    try:
        if path.is_dir():
            files, key, remarks = list_folder(path)
            read = partial(_read, path, source, files, remarks, image_size, names)
        else:
            with path.open("rb") as file:
                key = hashlib.file_digest(file, "sha256").hexdigest()
            read = partial(_read_file, path, source, image_size, names)
        own = "" if names == CLASSES else f"-{hashlib.sha256(','.join(names).encode()).hexdigest()[:16]}"
        cache = Path(cache_dir) / f"faces-v{CACHE_VERSION}-{image_size}px-{key}{own}.npz"
        start = time.perf_counter()
        faces = load_or_make(cache, source, image_size, names, read)
        log.info("%s: %s faces in %.1f s", path, f"{len(faces):,}", time.perf_counter() - start)
        return faces
    except OSError as error:
        raise closed(path, error) from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeDecodeError) as error:
        raise no_archive(path, error) from error


def scan_line(faces: Faces) -> str:
    """Return what a source holds, for people: faces per split and class, unreadable files, remarks."""
    lines = [f"{len(faces):,} faces from {faces.source}"]
    for split, counts in faces.counts().items():
        per_class = ", ".join(f"{name} {count:,}" for name, count in zip(faces.classes, counts, strict=True))
        lines.append(f"  {split:<10} {sum(counts):>6,}: {per_class}")
    if faces.unreadable:
        lines.append(f"  {len(faces.unreadable):,} unreadable: {some(': '.join(pair) for pair in faces.unreadable)}")
    return "\n".join(lines + [f"  {remark}" for remark in faces.remarks])


def load_or_make(
    cache: Path, source: str, image_size: int, classes: tuple[str, ...], make: Callable[[], Faces]
) -> Faces:
    """Return the faces that a file of the cache holds, or make them and fill it.

    Args:
        cache: The file, whose name holds all that decides the faces.
        source: Where they come from, for people.
        image_size: Height and width, pixels.
        classes: Names of their classes.
        make: Reads or draws them.
    """

    def cached(arrays: Mapping[str, np.ndarray]) -> Faces:
        best = arrays.get("best_possible")
        faces = Faces(
            images=arrays["images"],
            labels=arrays["labels"],
            names=arrays["names"],
            splits=arrays["splits"],
            source=source,
            fingerprint=str(arrays["fingerprint"]),
            unreadable=tuple((str(name), str(why)) for name, why in arrays["unreadable"]),
            remarks=tuple(map(str, arrays["remarks"])),
            best_possible=None if best is None else float(best),
            true_labels=arrays.get("true_labels"),
            classes=classes,
        )
        faces.check(image_size)
        return faces

    faces = load_arrays(cache, cached)
    if faces is None:
        faces = make()
        known = {"best_possible": faces.best_possible, "true_labels": faces.true_labels}  # of drawn faces alone
        save_arrays(
            cache,
            images=faces.images,
            labels=faces.labels,
            names=faces.names,
            splits=faces.splits,
            fingerprint=np.array(faces.fingerprint),
            unreadable=np.array(faces.unreadable, dtype=str).reshape(-1, 2),
            remarks=np.array(faces.remarks, dtype=str),
            **{name: np.array(content) for name, content in known.items() if content is not None},
        )
    return faces


def _read_file(path: Path, source: str, image_size: int, classes: tuple[str, ...]) -> Faces:
    """Return the faces of a csv or of a zip archive."""
    if path.suffix.lower() == ".csv":
        return _read(path, source, {CSV_NAMES[0]: lambda: path.open("rb")}, Remarks(), image_size, classes)
    with zipfile.ZipFile(path) as archive:
        return _read(path, source, *list_zip(path, archive), image_size, classes)


def _read(path: Path, source: str, files: Files, remarks: Remarks, image_size: int, classes: tuple[str, ...]) -> Faces:
    """Return the faces of a source's pictures or, where it has none in the layout, of its csv."""
    log.info("Reading the faces of %s", path)
    tables = [name for name in sorted(files) if PurePosixPath(name).name.lower() in CSV_NAMES]
    if names := choose_pictures(path, files, remarks):
        check_folders(path, names, classes)
        scan = read_pictures(path, names, files, remarks, image_size, classes)
    elif tables:
        table = path if path.suffix.lower() == ".csv" else path / tables[0]
        scan = read_csv(table, files[tables[0]], remarks, image_size, classes)
    else:
        raise no_layout(path, files)
    _check_scan(path, scan, classes)
    images = np.stack([row.image for row in scan.rows])
    labels = np.array([row.label for row in scan.rows])
    splits = np.array([row.split for row in scan.rows])
    return Faces(
        images=images,
        labels=labels,
        names=np.array([row.name for row in scan.rows]),
        splits=splits,
        source=source,
        fingerprint=fingerprint(images, labels, splits, classes),
        unreadable=tuple(scan.unreadable),
        remarks=tuple(f"{kind}: {count:,}." for kind, count in sorted(scan.remarks.items())),
        classes=classes,
    )


def _check_scan(path: Path, scan: Scan, classes: tuple[str, ...]) -> None:
    """Refuse a source of which too much is unreadable, or a split lacks a class."""
    total = len(scan.rows) + len(scan.unreadable)
    if len(scan.unreadable) > MAX_UNREADABLE_SHARE * total:
        raise UserError(
            f"{path}: {len(scan.unreadable):,} of {total:,} pictures are unreadable, more than "
            f"{100 * MAX_UNREADABLE_SHARE:.0f} %: {some(': '.join(pair) for pair in scan.unreadable)}. "
            "Fetch the data set again."
        )
    found = {(row.split, row.label) for row in scan.rows}
    splits = {split for split, _ in found}
    if "train" not in splits:
        raise UserError(f"{path}: the train split is empty. {REMEDY}")
    wanted = ((split, label) for split in splits for label in range(len(classes)))
    missing = sorted(f"{split}/{classes[label]}" for split, label in wanted if (split, label) not in found)
    if missing:
        raise UserError(f"{path} holds no face of {some(missing)}; each split needs all of {', '.join(classes)}.")
