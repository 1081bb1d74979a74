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
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np
from PIL import Image

from fer_lightning.data import listing
from fer_lightning.data.cache import load_arrays, save_arrays
from fer_lightning.data.classes import wrong_names
from fer_lightning.data.decoding import EMOTIONS, open_upright, read_row, reason, to_face
from fer_lightning.data.demo import SOURCE, draw_faces, drawing
from fer_lightning.data.faces import CLASSES, Faces, fingerprint
from fer_lightning.data.tree import check_folders, choose_pictures, describe, find_classes
from fer_lightning.data.votes import VOTED, relabel
from fer_lightning.errors import UserError
from fer_lightning.names import file_name, write_name
from fer_lightning.progress import track
from fer_lightning.words import counted, percent

log = logging.getLogger(__name__)

CACHE_VERSION = 3  # raise it with every change to the faces that the same source gives, or to the cache's files
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
                "data.classes is for your own faces; data.root=null draws faces of seven classes: leave it out"
            )
        cache = Path(cache_dir) / f"drawn-v{CACHE_VERSION}-{image_size}px-{drawing(drawn)}.npz"
        return _load_or_make(cache, SOURCE, names, lambda: draw_faces(**drawn, image_size=image_size))
    path = listing.download() if root == "kaggle" else listing.locate(root)
    source = listing.KAGGLE if root == "kaggle" else write_name(file_name(path.name))
    try:
        if path.is_dir():
            files, key, remarks = listing.list_folder(path)
            read = partial(_Scan(path, image_size, names, files, remarks).faces, source)
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
        raise listing.not_readable(path, error) from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeDecodeError) as error:
        raise listing.no_archive(path, error) from error


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
        files: listing.Files = {CSV_NAMES[0]: lambda: path.open("rb")}
        return _Scan(path, image_size, classes, files, listing.Remarks()).faces(source)
    with zipfile.ZipFile(path) as archive:
        return _Scan(path, image_size, classes, *listing.list_zip(path, archive)).faces(source)


@dataclass
class _Scan:
    """One reading of all files of a source."""

    path: Path
    image_size: int
    classes: tuple[str, ...]
    files: listing.Files
    remarks: listing.Remarks
    rows: list[tuple[str, str, int, np.ndarray]] = field(default_factory=list)  # name, split, label, (H, W) uint8
    unreadable: list[tuple[str, str]] = field(default_factory=list)  # name and reason

    def faces(self, source: str) -> Faces:
        """Return the faces of the pictures; if there are no pictures in the layout, those of the csv."""
        log.info("Reading the faces of %s", self.path)
        tables = [name for name in sorted(self.files) if PurePosixPath(name).name.lower() in CSV_NAMES]
        if pictures := choose_pictures(self.path, self.files, self.remarks):
            check_folders(self.path, pictures, self.classes)
            self._read_pictures(pictures)
        elif tables:
            self._read_csv(tables[0])
        else:
            raise listing.no_layout(self.path, self.files)
        self._check()
        names, splits, labels, images = map(np.array, zip(*self.rows, strict=True))
        return Faces(
            images=images,
            labels=labels,
            names=names,
            splits=splits,
            source=source,
            fingerprint=fingerprint(images, labels, splits, self.classes),
            unreadable=tuple(self.unreadable),
            remarks=tuple(f"{kind}: {count:,}." for kind, count in sorted(self.remarks.items())),
            classes=self.classes,
        )

    def _read_pictures(self, names: list[str]) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow's warnings of odd metadata
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            for name in track(names, f"reading {self.path.name}"):
                short_name, split, label, changes = describe(name, self.classes)
                try:
                    with self.files[name]() as file:
                        image = to_face(open_upright(file, changes), self.image_size, changes)
                except Exception as error:  # decoders raise almost anything on damaged files
                    self.unreadable.append((short_name, reason(error)))
                    continue
                self.remarks.update(changes)
                self.rows.append((short_name, split, self.classes.index(label), image))

    def _read_csv(self, name: str) -> None:
        """Read a table with FER2013's columns: emotion, pixels and Usage."""
        position = "header"
        emotions = EMOTIONS
        if set(self.classes) != set(CLASSES):
            emotions = {str(label): emotion for label, emotion in enumerate(self.classes)}
        try:
            with self.files[name]() as binary, warnings.catch_warnings():
                warnings.simplefilter("error")  # np.fromstring only warns about text that is no number
                table = csv.reader(io.TextIOWrapper(binary, encoding="utf-8-sig", errors="replace", newline=""))
                header = [column.strip().lower() for column in next(table, [])]
                if not {"emotion", "pixels", "usage"} <= set(header):
                    raise UserError(
                        f"{self.path} has the columns {', '.join(header[:5])}, and faces are read by those of "
                        f"fer2013.csv: emotion, pixels, Usage. Pictures are put into folders: {listing.TREE}"
                    )
                if repeated := [column for column in ("emotion", "pixels", "usage") if header.count(column) > 1]:
                    raise ValueError(f"column {repeated[0]} is there more than once")
                for number, cells in enumerate(filter(None, table), start=1):
                    position = f"row {number}"
                    row = dict(zip(header, map(str.strip, cells), strict=False))
                    emotion, split, image, changes = read_row(row, self.image_size, emotions)
                    self.remarks.update(changes)
                    label = self.classes.index(emotion)
                    self.rows.append((f"{split}/{emotion}/csv_{number:05}", split, label, image))
        except (ValueError, csv.Error) as error:
            path = self.path if self.path.suffix.lower() == ".csv" else self.path / name
            raise UserError(f"{path}, {position}: {error}. Correct or delete it, or fetch the file again.") from error

    def _check(self) -> None:
        """Refuse a source if too many pictures are unreadable or a split lacks a class."""
        total = len(self.rows) + len(self.unreadable)
        if len(self.unreadable) > MAX_UNREADABLE_SHARE * total:
            examples = listing.shorten(map(": ".join, self.unreadable))
            raise UserError(
                f"{self.path}: {len(self.unreadable):,} of {total:,} pictures are unreadable, more than "
                f"{percent(MAX_UNREADABLE_SHARE, 0)}: {examples}. Fetch the data set again."
            )
        present = {(split, label) for _, split, label, _ in self.rows}
        splits = {split for split, _ in present}
        if "train" not in splits:
            raise UserError(f"{self.path}: the train split is empty. {listing.REMEDY}")
        required = {(split, label) for split in splits for label in range(len(self.classes))}
        if missing := sorted(f"{split}/{self.classes[label]}" for split, label in required - present):
            raise UserError(
                f"{self.path} holds no face of {listing.shorten(missing)}; each split needs all of "
                f"{', '.join(self.classes)}."
            )
