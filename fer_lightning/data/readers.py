"""Reader of folders, zip archives and FER2013's csv: a path -> ``Faces``, with the name of every bad file.

folder | zip | csv  ->  Listing of files  ->  Contents by a layout  ->  Faces  ->  cache
"""

import hashlib
import logging
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from fer_lightning.data import listing
from fer_lightning.data.cache import load_arrays, save_arrays
from fer_lightning.data.classes import class_of, wrong_names
from fer_lightning.data.decoding import formats, open_upright, reason, to_face
from fer_lightning.data.demo import SOURCE, draw_faces, drawing
from fer_lightning.data.faces import CLASSES, COLUMNS, Faces, fingerprint
from fer_lightning.data.layouts import Contents, Entry, find_classes, find_contents
from fer_lightning.data.lists import LabelList
from fer_lightning.data.published import contest_rows, no_contest
from fer_lightning.errors import UserError
from fer_lightning.names import file_name, write_name
from fer_lightning.progress import track
from fer_lightning.words import counted, percent

log = logging.getLogger(__name__)

CACHE_VERSION = 4  # raise it with every change to the faces that the same source gives, or to the cache's files
MAX_UNREADABLE_SHARE = 0.1


def read_faces(
    root: str | None,
    cache_dir: str,
    drawn: Mapping[str, Any],
    image_size: int,
    classes: Sequence[str] | None = None,
    labels: LabelList | None = None,
) -> Faces:
    """Return all faces of a source, pictures sorted by name, csv rows in their order; from the cache if possible.

    Args:
        root: A folder, .zip or .csv; "kaggle" to download the paper's archive; None for synthetic faces.
        cache_dir: Folder of the cache.
        drawn: Arguments of ``draw_faces``, without the size.
        image_size: Height and width of the faces, pixels; faces of another size are resized.
        classes: Names of the classes in the order of the labels, or of the numbers of a csv. None takes the folders of
            the source. FER2013's seven classes have FER2013's numbers in a csv, in whatever order they are given.
        labels: List of the pictures and their labels; None takes those of the source's layout.

    Raises:
        UserError: If the source is missing, unsafe or damaged, lacks a class, or more than ``MAX_UNREADABLE_SHARE`` of
            its pictures are unreadable.
    """
    names = find_classes(root, labels) if classes is None else tuple(map(str, classes))
    _check_names(root, names, labels)
    if root is None:
        cache = Path(cache_dir) / f"drawn-v{CACHE_VERSION}-{image_size}px-{drawing(drawn)}.npz"
        return _load_or_make(cache, SOURCE, names, lambda: draw_faces(**drawn, image_size=image_size))
    path = listing.download() if root == "kaggle" else listing.locate(root)
    source = listing.KAGGLE if root == "kaggle" else write_name(file_name(path.name))
    with listing.explaining(path):
        files = listing.list_folder(path) if path.is_dir() else None
        if files is None:
            with path.open("rb") as file:
                key = hashlib.file_digest(file, "sha256").hexdigest()
        else:
            key = files.key
        if names != CLASSES:
            key += f"-{hashlib.sha256(','.join(names).encode()).hexdigest()[:16]}"
        if labels is not None:
            key += f"-{labels.key()}"
        if "HEIF" in formats():  # before the extra was installed, its pictures were unreadable
            key += "-heif"
        start = time.perf_counter()
        cache = Path(cache_dir) / f"faces-v{CACHE_VERSION}-{image_size}px-{key}.npz"
        faces = _load_or_make(
            cache, source, names, lambda: _read(files or listing.list_source(path), source, image_size, names, labels)
        )
        log.info("%s: %s faces in %.1f s", path, f"{len(faces):,}", time.perf_counter() - start)
    return faces if no_contest(faces) else replace(faces, rows=contest_rows(faces.names))


def check_layout(root: str | None, classes: Sequence[str], labels: LabelList | None = None) -> None:
    """Refuse a source by the names in it. No picture is opened, of a csv the first row is read.

    Args:
        root: A folder, .zip or .csv; "kaggle" and None, which have a layout of their own, are not looked at.
        classes: Names of the classes.
        labels: List of the pictures; None takes the layout of the source.

    Raises:
        UserError: As ``read_faces``, where the names are enough to know.
    """
    _check_names(root, classes, labels)
    if root in (None, "kaggle"):
        return
    path = listing.locate(str(root))
    with listing.explaining(path):
        try:
            contents = _list(listing.outline(path), classes, labels)
        except UserError:  # an outline has not every name: a class may be there that it lacks
            contents = _list(listing.list_source(path), classes, labels)
        if path.suffix.lower() == ".csv":
            next(iter(contents.entries), None)


def summarize(faces: Faces) -> str:
    """Return lines for people: number of faces of each split and class, unreadable files, remarks."""
    lines = [f"{counted(len(faces), 'face')} from {faces.source}"]
    for split, counts in faces.counts().items():
        per_class = ", ".join(f"{name} {count:,}" for name, count in zip(faces.classes, counts, strict=True))
        lines.append(f"  {split:<10} {sum(counts):>6,}: {per_class}")
    if faces.unreadable:
        lines.append(f"  {len(faces.unreadable):,} unreadable: {listing.shorten(map(': '.join, faces.unreadable))}")
    return "\n".join(lines + [f"  {remark}" for remark in faces.remarks])


def _load_or_make(cache: Path, source: str, classes: tuple[str, ...], make: Callable[[], Faces]) -> Faces:
    """Return the faces of a cache file, whose name holds all that decides them; or make the faces and write it."""
    arrays = load_arrays(cache)
    if arrays is None:
        faces = make()
        save_arrays(cache, {name: np.asarray(value) for name, value in vars(faces).items() if value is not None})
        return faces
    columns: dict[str, Any] = {name: arrays.get(name) for name in COLUMNS}
    return Faces(
        **columns,
        source=source,  # that of the cache may be an earlier name of the same file
        fingerprint=str(arrays["fingerprint"]),
        unreadable=tuple((str(name), str(why)) for name, why in arrays["unreadable"]),
        remarks=tuple(map(str, arrays["remarks"])),
        best_possible=float(arrays["best_possible"]) if "best_possible" in arrays else None,
        classes=classes,
    )


def _check_names(root: str | None, classes: Sequence[str], labels: LabelList | None) -> None:
    """Refuse names of classes that are not allowed, or that the synthetic faces do not have; and a list without use."""
    if problem := wrong_names(classes):
        raise UserError(f"{f'data.root={root}' if labels is None else labels.option} has {problem}")
    if labels is not None and (root is None or root.lower().endswith(".csv")):
        raise UserError(f"{labels.option} labels pictures: give their folder or .zip as data.root")
    if root is None and tuple(classes) != CLASSES:
        raise UserError("data.classes is for your own faces; data.root=null draws faces of seven classes: leave it out")


def _list(files: listing.Listing, classes: Sequence[str], labels: LabelList | None) -> Contents:
    """Return the contents of a source; refuse one without faces, with other labels, or without a class."""
    contents = find_contents(files, classes) if labels is None else labels.find(files, classes)
    if contents is None:
        raise listing.no_layout(files.path, files.names)
    if isinstance(contents.entries, list):
        _check_labels(files.path, contents, classes)
        _check_readable(files.path, len(contents.entries), contents.missing)
        present = {(entry.split, str(class_of(entry.label, classes))) for entry in contents.entries}
        _check_splits(files.path, present, classes)
    return contents


def _read(
    files: listing.Listing, source: str, image_size: int, classes: tuple[str, ...], labels: LabelList | None
) -> Faces:
    """Return the faces of a source: its layout lists them, and their pictures are opened here."""
    log.info("Reading the faces of %s", files.path)
    contents = _list(files, classes, labels)
    total = len(contents.entries) if isinstance(contents.entries, list) else contents.total
    images = np.empty((total or 2**12, image_size, image_size), np.uint8)
    names, splits, numbers, persons = list[str](), list[str](), list[int](), list[str | None]()
    unreadable: list[tuple[str, str]] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's warnings of odd metadata
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        for entry in track(contents.entries, f"reading {files.path.name}", total):
            label, changes = str(class_of(entry.label, classes)), list[str]()
            if label != entry.label:
                changes.append(f"Pictures of {contents.noun} {entry.label} read as {label}")
            try:
                image = _open(files, entry, image_size, changes)
            except Exception as error:  # decoders raise almost anything on damaged files
                unreadable.append((entry.name, reason(error)))
                continue
            if len(names) == len(images):
                images.resize((2 * len(images), image_size, image_size), refcheck=False)
            images[len(names)] = image
            names.append(entry.name)
            splits.append(entry.split)
            persons.append(entry.person)
            numbers.append(classes.index(label))
            files.remarks.update(changes)
    unreadable += contents.missing
    others = [name for name in files.names if name not in files.tables and not listing.is_picture(name)]
    files.remarks.update(listing.remark("Files that are hidden or no pictures ignored", others))
    _check_readable(files.path, len(names), unreadable)
    _check_splits(files.path, {(split, classes[label]) for split, label in zip(splits, numbers, strict=True)}, classes)
    images.resize((len(names), image_size, image_size), refcheck=False)
    del contents, entry  # the table below has all of it, and takes as much memory
    columns = np.array(numbers), np.array(splits)
    return Faces(
        images=images,
        labels=columns[0],
        names=np.array(names),
        splits=columns[1],
        source=source,
        fingerprint=fingerprint(images, *columns, classes),
        unreadable=tuple(unreadable),
        remarks=tuple(f"{kind}: {count:,}." for kind, count in sorted(files.remarks.items())),
        classes=classes,
        persons=None if None in persons else np.array(persons),
    )


def _open(files: listing.Listing, entry: Entry, image_size: int, changes: list[str]) -> np.ndarray:
    """Return the picture of a face, (H, W) uint8; append remarks to ``changes``."""
    if isinstance(entry.picture, np.ndarray):
        return to_face(Image.fromarray(entry.picture), image_size, changes)
    with files.open(entry.picture) as file:
        return to_face(open_upright(file, changes), image_size, changes)


def _check_labels(path: Path, contents: Contents, classes: Sequence[str]) -> None:
    """Refuse labels that are none of the classes, before any picture is opened."""
    labels = {(entry.split, entry.label) for entry in contents.entries}
    unknown = sorted("/".join(filter(None, pair)) for pair in labels if class_of(pair[1], classes) is None)
    if unknown:
        plural = {"folder": "class folders"}.get(contents.noun, "labels")
        raise UserError(
            f"{path}: data.classes=[{','.join(classes)}] lacks the {plural} {listing.shorten(unknown)}; add their "
            f"names, or leave data.classes out, which takes all {plural.removeprefix('class ')}."
        )


def _check_readable(path: Path, faces: int, unreadable: Sequence[tuple[str, str]]) -> None:
    """Refuse a source if too many of its pictures are unreadable."""
    total = faces + len(unreadable)
    if len(unreadable) > MAX_UNREADABLE_SHARE * total:
        examples = listing.shorten(map(": ".join, unreadable))
        raise UserError(
            f"{path}: {len(unreadable):,} of {total:,} pictures are unreadable, more than "
            f"{percent(MAX_UNREADABLE_SHARE, 0)}: {examples}. Fetch the data set again."
        )


def _check_splits(path: Path, present: set[tuple[str, str]], classes: Sequence[str]) -> None:
    """Refuse a source without training faces, or with a split that lacks a class."""
    splits = {split for split, _ in present}
    if "" in splits and len(splits) > 1:
        raise UserError(f"{path} has faces with a split and others without: give each face one, or none any")
    if not splits & {"train", ""}:
        raise UserError(f"{path}: the train split is empty. {listing.REMEDY}")
    required = {(split, name) for split in splits for name in classes}
    if missing := sorted("/".join(filter(None, pair)) for pair in required - present):
        raise UserError(
            f"{path} holds no face of {listing.shorten(missing)}; each split needs all of {', '.join(classes)}."
        )
