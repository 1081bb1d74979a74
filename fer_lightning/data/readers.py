"""Folders, zip archives and FER2013's csv -> ``Faces``: the scan that names every bad file.

    folder | zip | csv  ->  {path: how to open it}  ->  pictures or csv rows  ->  Faces  ->  cache

Nothing is unpacked to disk, and no file of the source is ever written to.
"""

import csv
import hashlib
import io
import logging
import os
import re
import stat
import time
import warnings
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from fer_lightning.data.cache import load_arrays, save_arrays
from fer_lightning.data.demo import draw_faces
from fer_lightning.data.faces import CLASSES, IMAGE_SIZE, Faces, fingerprint
from fer_lightning.data.progress import track
from fer_lightning.errors import UserError, install_command

log = logging.getLogger(__name__)

CACHE_VERSION = 1  # raise it with every change to what the same source reads as
MAX_UNREADABLE_SHARE = 0.1
MAX_PIXELS = 50_000_000  # per picture, known from its header
MAX_UNPACKED = 4 * 2**30  # bytes, all members of a zip together
KAGGLE = "jonathanoheix/face-expression-recognition-dataset"
SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm"}
FORMATS = ("JPEG", "PNG", "BMP", "GIF", "TIFF", "WEBP", "PPM")  # not EPS, which would start Ghostscript
CSV_NAMES = ("fer2013.csv", "icml_face_data.csv")
EMOTIONS = dict(zip("0123456", ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"), strict=True))
USAGES = {"training": "train", "publictest": "validation", "privatetest": "test"}
SPLIT_FOLDERS = {"train": "train", "validation": "validation", "valid": "validation", "val": "validation"}
SPLIT_FOLDERS |= {"test": "test"} | USAGES
SPELLINGS = {name: name for name in CLASSES} | {
    "anger": "angry",
    "disgusted": "disgust",
    "fearful": "fear",
    "scared": "fear",
    "afraid": "fear",
    "happiness": "happy",
    "sadness": "sad",
    "surprised": "surprise",
}
TREE = f"[images/]{{train,validation,test}}/{{{','.join(CLASSES)}}}/*.jpg"
REMEDY = (
    f"Point data.root at a folder or .zip that holds {TREE}, at fer2013.csv, or use data.root=null for drawn faces."
)

Files = dict[str, Callable[[], BinaryIO]]  # path inside the source, with "/" -> how to open it


def read_faces(root: str | None, cache_dir: str, drawn: Mapping) -> Faces:
    """Return all faces of a source, pictures sorted by name, csv rows as they come; from the cache where it has them.

    Args:
        root: A folder, .zip or .csv; "kaggle" to download the paper's archive; None for drawn faces.
        cache_dir: Folder of the cache.
        drawn: Arguments of ``draw_faces``.

    Raises:
        UserError: If the source is missing, unsafe or damaged, or has not all classes, or more than
            ``MAX_UNREADABLE_SHARE`` of its pictures are unreadable.
    """
    if root is None:
        return draw_faces(**drawn)
    path = _download() if root == "kaggle" else Path(root).expanduser().absolute()
    source = KAGGLE if root == "kaggle" else path.name
    if not path.exists():
        raise UserError(f"data.root={root}: there is no {path}. {REMEDY}")
    try:
        if path.is_dir():
            files, key, remarks = _list_folder(path)
            return _read_or_load(path, source, files, remarks, Path(cache_dir) / _cache_name(key))
        with path.open("rb") as file:
            cache = Path(cache_dir) / _cache_name(hashlib.file_digest(file, "sha256").hexdigest())
        if path.suffix.lower() == ".csv":
            return _read_or_load(path, source, {CSV_NAMES[0]: partial(path.open, "rb")}, Counter(), cache)
        with zipfile.ZipFile(path) as archive:
            files, remarks = _list_zip(path, archive)
            return _read_or_load(path, source, files, remarks, cache)
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}. {REMEDY}") from error
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, UnicodeDecodeError) as error:
        size = f"{path.stat().st_size:,} bytes"
        raise UserError(f"{path} ({size}) is no whole zip archive: {error}. Fetch it again. {REMEDY}") from error


def scan_line(faces: Faces) -> str:
    """Return what a source holds, for people: faces per split and class, unreadable files, remarks."""
    lines = [f"{len(faces):,} faces from {faces.source}"]
    for split, counts in faces.counts().items():
        per_class = ", ".join(f"{name} {count:,}" for name, count in zip(CLASSES, counts, strict=True))
        lines.append(f"  {split:<10} {sum(counts):>6,}: {per_class}")
    if faces.unreadable:
        lines.append(f"  {len(faces.unreadable):,} unreadable: {_some(': '.join(pair) for pair in faces.unreadable)}")
    return "\n".join(lines + [f"  {remark}" for remark in faces.remarks])


def _download() -> Path:
    """Return the folder that Kaggle's archive was downloaded to."""
    try:
        import kagglehub
    except ImportError as error:
        raise UserError(f"data.root=kaggle needs kagglehub: {install_command('kaggle')}") from error
    try:
        return Path(kagglehub.dataset_download(KAGGLE))
    except Exception as error:  # kagglehub's own, of requests or of the file system: the remedy is the same
        raise UserError(
            f"data.root=kaggle: {KAGGLE} could not be downloaded ({error}). Log in with kagglehub.login() or the "
            "variables KAGGLE_USERNAME and KAGGLE_KEY; or fetch the zip in a browser from "
            f"https://www.kaggle.com/datasets/{KAGGLE} and point data.root at it."
        ) from error


def _cache_name(key: str) -> str:
    return f"faces-v{CACHE_VERSION}-{key}.npz"


def _list_folder(root: Path) -> tuple[Files, str, Counter]:
    """Return a folder's files, a SHA-256 of their paths, sizes, times and modes, and remarks."""
    files, states, remarks = {}, [], Counter()
    for folder, folders, names in os.walk(root, onerror=_raise):  # enters no links, which may be loops
        linked = sum(os.path.islink(os.path.join(folder, name)) for name in folders)
        if linked:
            remarks["Linked folders that were not followed"] += linked
        for name in names:
            path = os.path.join(folder, name)
            relative = os.path.relpath(path, root).replace(os.sep, "/")
            files[relative] = partial(_open_regular, path)
            try:
                state = os.stat(path)
                states.append(f"{relative}\0{state.st_size}\0{state.st_mtime_ns}\0{state.st_mode}")
            except OSError:  # a broken or circular link: reading it names the reason
                states.append(relative)
    key = hashlib.sha256("\n".join(sorted(states)).encode(errors="surrogateescape")).hexdigest()
    return files, key, remarks


def _raise(error: OSError) -> None:
    raise error  # os.walk would pass over a folder that may not be entered


def _open_regular(path: str) -> BinaryIO:
    if os.path.exists(path) and not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError("not a regular file")  # opening a pipe would wait for ever
    return open(path, "rb")


def _list_zip(path: Path, archive: zipfile.ZipFile) -> tuple[Files, Counter]:
    """Return the files of an archive and remarks, once every member is known to be safe."""
    members = archive.infolist()
    for member in members:
        name = member.filename.replace("\\", "/")
        linked = stat.S_ISLNK(member.external_attr >> 16)
        if linked or name.startswith("/") or re.match("[A-Za-z]:", name) or ".." in name.split("/"):
            kind = "a link" if linked else "a path that leaves the archive"
            raise UserError(f"{path}: unsafe member {member.filename!r}, {kind}; fetch the archive from its author.")
        if member.flag_bits & 0x1:
            raise UserError(f"{path}: member {member.filename!r} is encrypted; unpack the archive and give the folder.")
        if member.file_size > 10_000_000 and member.file_size > 1000 * member.compress_size:
            raise UserError(
                f"{path}: member {member.filename!r} would unpack from {member.compress_size:,} to "
                f"{member.file_size:,} bytes: a zip bomb; fetch the archive from its author."
            )
    unpacked = sum(member.file_size for member in members)
    if unpacked > MAX_UNPACKED:
        raise UserError(
            f"{path} would unpack to {unpacked:,} bytes, more than the {MAX_UNPACKED:,} allowed: a zip bomb or "
            "another data set; point data.root at an archive of FER2013."
        )
    members = [member for member in members if not member.is_dir()]
    files = {member.filename.replace("\\", "/"): partial(archive.open, member) for member in members}
    repeated = len(members) - len(files)
    return files, Counter({"Members under a name taken before, the last one read": repeated} if repeated else {})


def _read_or_load(path: Path, source: str, files: Files, remarks: Counter, cache: Path) -> Faces:
    """Return the faces from the cache, or read them and fill it."""
    start = time.perf_counter()
    arrays = load_arrays(cache)
    if arrays is None:
        log.info("Reading the faces of %s", path)
        faces = _read(path, source, files, remarks)
        save_arrays(
            cache,
            images=faces.images,
            labels=faces.labels,
            names=faces.names,
            splits=faces.splits,
            fingerprint=np.array(faces.fingerprint),
            unreadable=np.array(faces.unreadable, dtype=str).reshape(-1, 2),
            remarks=np.array(faces.remarks, dtype=str),
        )
    else:
        faces = Faces(
            images=arrays["images"],
            labels=arrays["labels"],
            names=arrays["names"],
            splits=arrays["splits"],
            source=source,
            fingerprint=str(arrays["fingerprint"]),
            unreadable=tuple(map(tuple, arrays["unreadable"].tolist())),
            remarks=tuple(arrays["remarks"].tolist()),
        )
    log.info("%s: %s faces in %.1f s", path, f"{len(faces):,}", time.perf_counter() - start)
    return faces


def _read(path: Path, source: str, files: Files, remarks: Counter) -> Faces:
    """Return the faces of a source's pictures or, where it has none in the layout, of its csv."""
    pictures = {name: opener for name, opener in files.items() if _is_picture(name)}
    trees = {}  # folder of the split folders -> its pictures
    for name in pictures:
        parts = PurePosixPath(name).parts
        if len(parts) > 2 and parts[-3].lower() in SPLIT_FOLDERS:
            trees.setdefault(parts[:-3], []).append(name)
    tables = [name for name in sorted(files) if PurePosixPath(name).name.lower() in CSV_NAMES]
    unreadable = []
    if trees:
        names = _choose_tree(path, trees, remarks)
        outside = len(pictures) - sum(map(len, trees.values()))
        if outside:
            remarks["Pictures outside split/class folders ignored"] += outside
        if len(files) > len(pictures):
            remarks["Files that are hidden or no pictures ignored"] += len(files) - len(pictures)
        rows, images = _read_pictures(path, names, files, unreadable, remarks)
    elif tables:
        rows, images = _read_csv(path / tables[0] if path.suffix.lower() != ".csv" else path, files[tables[0]])
    else:
        found = _some(sorted({name.split("/")[0] for name in files})) or "nothing"
        raise UserError(f"{path} holds no faces in a known layout; found: {found}. {REMEDY}")

    total = len(rows) + len(unreadable)
    if len(unreadable) > MAX_UNREADABLE_SHARE * total:
        raise UserError(
            f"{path}: {len(unreadable):,} of {total:,} pictures are unreadable, more than {MAX_UNREADABLE_SHARE:.0%}: "
            f"{_some(': '.join(pair) for pair in unreadable)}. Fetch the data set again."
        )
    found = {(split, label) for _, split, label in rows}
    if "train" not in {split for split, _ in found}:
        raise UserError(f"{path}: the train split is empty. {REMEDY}")
    missing = sorted(
        {f"{split}/{CLASSES[k]}" for split, _ in found for k in range(len(CLASSES)) if (split, k) not in found}
    )
    if missing:
        raise UserError(f"{path} holds no face of {_some(missing)}; each split needs all of {', '.join(CLASSES)}.")
    names, splits, labels = (np.array(column) for column in zip(*rows, strict=True))
    images = np.stack(images)
    return Faces(
        images=images,
        labels=labels,
        names=names,
        splits=splits,
        source=source,
        fingerprint=fingerprint(images, labels, splits),
        unreadable=tuple(unreadable),
        remarks=tuple(f"{kind}: {count:,}." for kind, count in sorted(remarks.items())),
    )


def _is_picture(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix.lower() in SUFFIXES and not any(part.startswith((".", "__MACOSX")) for part in path.parts)


def _choose_tree(path: Path, trees: dict[tuple, list[str]], remarks: Counter) -> list[str]:
    """Return the pictures of the outermost tree, sorted, once all its class folders are known."""
    prefix, *others = sorted(trees, key=lambda parts: (len(parts), parts))
    for other in others:
        if other != (*prefix, "images"):  # Kaggle's archive holds its tree again under images/images/
            where = _some("/".join(parts) or "." for parts in (prefix, other))
            raise UserError(f"{path} holds more than one tree of faces: {where}. Point data.root at one of them.")
        remarks["Pictures of a second copy under {}/ ignored".format("/".join(other))] += len(trees[other])

    folders = {PurePosixPath(name).parts[-3:-1] for name in trees[prefix]}
    unknown = sorted("/".join(folder) for folder in folders if folder[-1].lower() not in SPELLINGS)
    if unknown:
        raise UserError(f"{path}: unknown class folders {_some(unknown)}; rename them to {', '.join(CLASSES)}.")
    return sorted(trees[prefix], key=lambda name: PurePosixPath(name).parts[-3:])


def _read_pictures(path: Path, names: list[str], files: Files, unreadable: list, remarks: Counter) -> tuple[list, list]:
    """Return (name, split, label) and image of every readable picture; the others go to ``unreadable``."""
    rows, images = [], []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's warnings of odd metadata
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        for name in track(names, f"reading {path.name}"):
            folder, class_folder, file_name = PurePosixPath(name).parts[-3:]
            short_name = f"{folder}/{class_folder}/{file_name}"
            split = USAGES.get(file_name.split("_")[0].lower(), SPLIT_FOLDERS[folder.lower()])  # PublicTest_123.jpg
            try:
                with files[name]() as file:
                    image, changes = _read_picture(file)
            except (Image.DecompressionBombWarning, Image.DecompressionBombError):
                unreadable.append((short_name, f"more than {MAX_PIXELS:,} pixels"))
            except UnidentifiedImageError:  # its text holds an address in memory
                unreadable.append((short_name, "empty or no picture"))
            except Exception as error:  # decoders raise almost anything on damaged files
                reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
                unreadable.append((short_name, reason))
            else:
                label = SPELLINGS[class_folder.lower()]
                if label != class_folder:
                    changes.append(f"Pictures of folder {class_folder} read as {label}")
                remarks.update(changes)
                rows.append((short_name, split, CLASSES.index(label)))
                images.append(image)
    return rows, images


def _read_picture(file: BinaryIO) -> tuple[np.ndarray, list[str]]:
    """Return a picture, decoded in full, as (48, 48) uint8, and what was changed to get there."""
    changes = []
    with Image.open(file, formats=FORMATS) as opened:
        if opened.width * opened.height > MAX_PIXELS:
            raise Image.DecompressionBombError
        if getattr(opened, "is_animated", False):
            changes.append("Pictures of several frames of which the first was read")
        opened.load()
        picture, mode = opened, opened.mode
        if opened.getexif().get(ExifTags.Base.Orientation, 1) != 1:
            changes.append("Pictures turned upright by their EXIF orientation")
            picture = ImageOps.exif_transpose(opened)
        if mode != "L" or picture.has_transparency_data:
            changes.append(f"Pictures converted from {mode} to 8-bit grey")
            picture = _to_grey(picture)
        if picture.size != (IMAGE_SIZE, IMAGE_SIZE):
            changes.append(f"Pictures resized to {IMAGE_SIZE} x {IMAGE_SIZE} pixels")
            picture = picture.resize((IMAGE_SIZE, IMAGE_SIZE), Image.Resampling.LANCZOS)
        return np.array(picture), changes


def _to_grey(picture: Image.Image) -> Image.Image:
    """Return a picture of any mode as 8-bit grey, what is transparent as white."""
    if picture.mode.startswith("I"):  # 16 bits, in 32 for some formats; Pillow's own conversion cuts at 255
        values = np.asarray(picture).astype(np.int64)
        if values.min() < 0 or values.max() > 65535:
            raise ValueError("grey values outside 16 bits")
        return Image.fromarray(((values * 255 + 32767) // 65535).astype(np.uint8))
    if picture.mode == "F":
        raise ValueError("floating-point grey values")
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return picture.convert("RGB").convert("L")


def _read_csv(path: Path, opener: Callable[[], BinaryIO]) -> tuple[list, list]:
    """Return (name, split, label) and image of every row of FER2013's csv: emotion, pixels, Usage."""
    rows, images, row = [], [], 0
    try:
        with opener() as binary, warnings.catch_warnings():
            warnings.simplefilter("error")  # fromstring warns where the text is not all numbers
            table = csv.reader(io.TextIOWrapper(binary, encoding="utf-8-sig", errors="replace", newline=""))
            header = [column.strip().lower() for column in next(table, [])]
            if not {"emotion", "pixels", "usage"} <= set(header):
                raise ValueError(f"columns {header}, needed: emotion, pixels, Usage")
            for row, cells in enumerate(filter(None, table), start=1):
                face = dict(zip(header, map(str.strip, cells), strict=False))
                emotion = _allowed(EMOTIONS, "emotion", face)
                split = _allowed(USAGES, "usage", face)
                rows.append((f"{split}/{emotion}/csv_{row:05}", split, CLASSES.index(emotion)))
                images.append(_parse_pixels(face.get("pixels", "")))
    except (ValueError, csv.Error) as error:
        where = f"row {row}" if row else "header"
        raise UserError(f"{path}, {where}: {error}. Mend or delete it, or fetch the file again.") from error
    return rows, images


def _allowed(table: dict[str, str], column: str, face: dict[str, str]) -> str:
    value = face.get(column, "")
    if value.lower() not in table:
        raise ValueError(f"{column} {value!r:.40}, allowed: {', '.join(table)}")
    return table[value.lower()]


def _parse_pixels(text: str) -> np.ndarray:
    """Return the (48, 48) uint8 image of 2304 numbers, or raise a ValueError that names the bad one."""
    try:
        values = np.fromstring(text, dtype=np.int64, sep=" ")
    except (DeprecationWarning, ValueError):
        values = np.array([-1])
    if values.size == IMAGE_SIZE**2 and values.min() >= 0 and values.max() <= 255:
        return values.astype(np.uint8).reshape(IMAGE_SIZE, IMAGE_SIZE)
    words, greys = text.split(), set(map(str, range(256)))
    bad = next((word for word in words if word not in greys), None)
    if bad is not None:
        raise ValueError(f"pixel {bad!r:.40}, allowed: 0 to 255")
    raise ValueError(f"{len(words)} pixels, allowed: {IMAGE_SIZE**2}")


def _some(texts, limit: int = 8) -> str:
    """Return the first texts and the number of the others."""
    texts = list(texts)
    return "; ".join(texts[:limit]) + (f"; and {len(texts) - limit:,} more" if len(texts) > limit else "")
