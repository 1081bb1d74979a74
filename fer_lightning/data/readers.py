"""Reader of folders, zip archives and FER2013's csv: a path -> ``Faces``, with the name of every bad file.

folder | zip | csv  ->  {path: function that opens it}  ->  pictures or csv rows  ->  Faces  ->  cache
"""

import csv
import hashlib
import io
import logging
import time
import warnings
import zipfile
import zlib
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO, Any, NamedTuple

import numpy as np
from PIL import Image

from fer_lightning.data.cache import load_arrays, save_arrays
from fer_lightning.data.classes import wrong_names
from fer_lightning.data.decoding import EMOTIONS, read_picture, read_row, reason
from fer_lightning.data.demo import SOURCE, draw_faces, drawing
from fer_lightning.data.faces import CLASSES, Faces, fingerprint
from fer_lightning.data.listing import (
    KAGGLE,
    REMEDY,
    Files,
    Remarks,
    download,
    list_folder,
    list_zip,
    locate,
    no_archive,
    no_layout,
    not_readable,
    shorten,
)
from fer_lightning.data.progress import track
from fer_lightning.data.tree import check_folders, choose_pictures, describe, find_classes
from fer_lightning.data.votes import VOTED, relabel
from fer_lightning.errors import UserError
from fer_lightning.names import file_name, write_name

log = logging.getLogger(__name__)

CACHE_VERSION = 3  # raise it with every change to the faces that the same source gives, or to the cache's files
MAX_UNREADABLE_SHARE = 0.1
CSV_NAMES = ("fer2013.csv", "icml_face_data.csv")


class Row(NamedTuple):
    """A face that was read from a picture or from a row of a csv."""

    name: str
    split: str
    label: int  # position in the classes
    image: np.ndarray  # (H, W) uint8


def read_faces(
    root: str | None,
    cache_dir: str,
    drawn: Mapping[str, Any],
    image_size: int,
    classes: Sequence[str] | None = None,
    votes: str | None = None,
) -> Faces:
    """Return all faces of a source, pictures sorted by name, csv rows in their order; from the cache if possible.

    Args:
        root: A folder, .zip or .csv; "kaggle" to download the paper's archive; None for synthetic faces.
        cache_dir: Folder of the cache.
        drawn: Arguments of ``draw_faces``, without the size.
        image_size: Height and width of the faces, pixels; faces of another size are resized.
        classes: Names of the classes in the order of the labels, or of the numbers of a csv. None takes the folders of
            the source. FER2013's seven classes have FER2013's numbers in a csv, in whatever order they are given.
        votes: Path of FER+'s votes, which replace the labels of ``fer2013.csv``; None keeps the labels of the source.

    Raises:
        UserError: If the source is missing, unsafe or damaged, lacks a class, or more than ``MAX_UNREADABLE_SHARE`` of
            its pictures are unreadable.
    """
    if votes is not None:
        return relabel(read_faces(root, cache_dir, drawn, image_size, CLASSES), votes, classes or VOTED)
    names = find_classes(root) if classes is None else tuple(map(str, classes))
    if problem := wrong_names(names):
        raise UserError(f"data.root={root} with {problem}")
    if root is None:
        if names != CLASSES:
            raise UserError(
                "data.classes is for faces of your own, and data.root=null draws faces of seven: leave it out"
            )
        cache = Path(cache_dir) / f"drawn-v{CACHE_VERSION}-{image_size}px-{drawing(drawn)}.npz"
        return _load_or_make(cache, SOURCE, names, lambda: draw_faces(**drawn, image_size=image_size))
    path = download() if root == "kaggle" else locate(root)
    source = KAGGLE if root == "kaggle" else write_name(file_name(path.name))
    try:
        if path.is_dir():
            files, key, remarks = list_folder(path)
            read = partial(_read_files, path, source, files, remarks, image_size, names)
        else:
            with path.open("rb") as file:
                key = hashlib.file_digest(file, "sha256").hexdigest()
            read = partial(_read_file, path, source, image_size, names)
        if names != CLASSES:
            key += f"-{hashlib.sha256(','.join(names).encode()).hexdigest()[:16]}"
        start = time.perf_counter()
        faces = _load_or_make(Path(cache_dir) / f"faces-v{CACHE_VERSION}-{image_size}px-{key}.npz", source, names, read)
        log.info("%s: %s faces in %.1f s", path, f"{len(faces):,}", time.perf_counter() - start)
        return faces
    except OSError as error:
        raise not_readable(path, error) from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeDecodeError) as error:
        raise no_archive(path, error) from error


def summarize(faces: Faces) -> str:
    """Return lines for people: number of faces of each split and class, unreadable files, remarks."""
    lines = [f"{len(faces):,} faces from {faces.source}"]
    for split, counts in faces.counts().items():
        per_class = ", ".join(f"{name} {count:,}" for name, count in zip(faces.classes, counts, strict=True))
        lines.append(f"  {split:<10} {sum(counts):>6,}: {per_class}")
    if faces.unreadable:
        lines.append(f"  {len(faces.unreadable):,} unreadable: {shorten(map(': '.join, faces.unreadable))}")
    return "\n".join(lines + [f"  {remark}" for remark in faces.remarks])


def _load_or_make(cache: Path, source: str, classes: tuple[str, ...], make: Callable[[], Faces]) -> Faces:
    """Return the faces of a cache file, whose name holds all that decides them; or make the faces and write it."""
    arrays = load_arrays(cache)
    if arrays is None:
        faces = make()
        save_arrays(cache, {name: np.asarray(value) for name, value in vars(faces).items() if value is not None})
        return faces
    return Faces(
        images=arrays["images"],
        labels=arrays["labels"],
        names=arrays["names"],
        splits=arrays["splits"],
        source=source,  # that of the cache may be an earlier name of the same file
        fingerprint=str(arrays["fingerprint"]),
        unreadable=tuple((str(name), str(why)) for name, why in arrays["unreadable"]),
        remarks=tuple(map(str, arrays["remarks"])),
        best_possible=float(arrays["best_possible"]) if "best_possible" in arrays else None,
        true_labels=arrays.get("true_labels"),
        classes=classes,
    )


def _read_file(path: Path, source: str, image_size: int, classes: tuple[str, ...]) -> Faces:
    """Return the faces of a csv or of a zip archive."""
    if path.suffix.lower() == ".csv":
        files: Files = {CSV_NAMES[0]: lambda: path.open("rb")}
        return _read_files(path, source, files, Remarks(), image_size, classes)
    with zipfile.ZipFile(path) as archive:
        return _read_files(path, source, *list_zip(path, archive), image_size, classes)


def _read_files(
    path: Path, source: str, files: Files, remarks: Remarks, image_size: int, classes: tuple[str, ...]
) -> Faces:
    """Return the faces of the pictures of a source; if it has no pictures in the layout, those of its csv."""
    log.info("Reading the faces of %s", path)
    tables = [name for name in sorted(files) if PurePosixPath(name).name.lower() in CSV_NAMES]
    unreadable: list[tuple[str, str]] = []
    if names := choose_pictures(path, files, remarks):
        check_folders(path, names, classes)
        rows, unreadable = _read_pictures(path, names, files, remarks, image_size, classes)
    elif tables:
        table = path if path.suffix.lower() == ".csv" else path / tables[0]
        rows = _read_csv(table, files[tables[0]], remarks, image_size, classes)
    else:
        raise no_layout(path, files)
    _check_rows(path, rows, unreadable, classes)
    images = np.stack([row.image for row in rows])
    labels = np.array([row.label for row in rows])
    splits = np.array([row.split for row in rows])
    return Faces(
        images=images,
        labels=labels,
        names=np.array([row.name for row in rows]),
        splits=splits,
        source=source,
        fingerprint=fingerprint(images, labels, splits, classes),
        unreadable=tuple(unreadable),
        remarks=tuple(f"{kind}: {count:,}." for kind, count in sorted(remarks.items())),
        classes=classes,
    )


def _read_pictures(
    path: Path, names: list[str], files: Files, remarks: Remarks, image_size: int, classes: tuple[str, ...]
) -> tuple[list[Row], list[tuple[str, str]]]:
    """Return the faces of the named pictures, and (name, reason) of the unreadable ones."""
    rows, unreadable = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's warnings of odd metadata
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        for name in track(names, f"reading {path.name}"):
            short_name, split, label, renamed = describe(name, classes)
            try:
                with files[name]() as file:
                    image, changes = read_picture(file, image_size)
            except Exception as error:  # decoders raise almost anything on damaged files
                unreadable.append((short_name, reason(error)))
                continue
            remarks.update(renamed + changes)
            rows.append(Row(short_name, split, classes.index(label), image))
    return rows, unreadable


def _read_csv(
    path: Path, opener: Callable[[], IO[bytes]], remarks: Remarks, image_size: int, classes: tuple[str, ...]
) -> list[Row]:
    """Return the faces of FER2013's csv, which has the columns emotion, pixels and Usage."""
    rows: list[Row] = []
    position = "header"
    emotions = EMOTIONS if set(classes) == set(CLASSES) else {str(label): name for label, name in enumerate(classes)}
    try:
        with opener() as binary, warnings.catch_warnings():
            warnings.simplefilter("error")  # np.fromstring only warns about text that is no number
            table = csv.reader(io.TextIOWrapper(binary, encoding="utf-8-sig", errors="replace", newline=""))
            header = [column.strip().lower() for column in next(table, [])]
            if not {"emotion", "pixels", "usage"} <= set(header):
                raise ValueError(f"columns {header}, needed: emotion, pixels, Usage")
            if repeated := [name for name in ("emotion", "pixels", "usage") if header.count(name) > 1]:
                raise ValueError(f"column {repeated[0]} stands there more than once")
            for number, cells in enumerate(filter(None, table), start=1):
                position = f"row {number}"
                row = dict(zip(header, map(str.strip, cells), strict=False))
                emotion, split, image, changes = read_row(row, image_size, emotions)
                remarks.update(changes)
                rows.append(Row(f"{split}/{emotion}/csv_{number:05}", split, classes.index(emotion), image))
    except (ValueError, csv.Error) as error:
        raise UserError(f"{path}, {position}: {error}. Mend or delete it, or fetch the file again.") from error
    return rows


def _check_rows(path: Path, rows: list[Row], unreadable: list[tuple[str, str]], classes: tuple[str, ...]) -> None:
    """Refuse a source if too many pictures are unreadable or a split lacks a class."""
    total = len(rows) + len(unreadable)
    if len(unreadable) > MAX_UNREADABLE_SHARE * total:
        raise UserError(
            f"{path}: {len(unreadable):,} of {total:,} pictures are unreadable, more than "
            f"{100 * MAX_UNREADABLE_SHARE:.0f} %: {shorten(map(': '.join, unreadable))}. Fetch the data set again."
        )
    present = {(row.split, row.label) for row in rows}
    splits = {split for split, _ in present}
    if "train" not in splits:
        raise UserError(f"{path}: the train split is empty. {REMEDY}")
    required = {(split, label) for split in splits for label in range(len(classes))}
    if missing := sorted(f"{split}/{classes[label]}" for split, label in required - present):
        raise UserError(f"{path} holds no face of {shorten(missing)}; each split needs all of {', '.join(classes)}.")
