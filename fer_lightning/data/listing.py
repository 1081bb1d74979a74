"""The files of a folder or zip archive, after they were checked for safety.

Nothing is unpacked to disk, and no file of the source is changed.
"""

import hashlib
import io
import lzma
import os
import re
import stat
import tarfile
import zipfile
import zlib
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import IO

from fer_lightning.data.faces import CLASSES
from fer_lightning.errors import FILE, FOLDER, UserError, install_command, path_kind
from fer_lightning.names import file_name, write_name

MAX_UNPACKED = 4 * 2**30  # bytes of a tar, which is read from its beginning for every member
KAGGLE = "jonathanoheix/face-expression-recognition-dataset"

TABLES = (".csv", ".txt", ".tsv")
DAMAGE = (  # errors of damaged archives
    *(zipfile.BadZipFile, zlib.error, tarfile.TarError, lzma.LZMAError, EOFError),
    *(NotImplementedError, UnicodeDecodeError),  # of compressions and names
)
TARS = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
SUFFIXES = (
    *(".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm"),
    *(".heic", ".heif", ".hif", ".avif"),
)
HIDDEN = re.compile(r"(?:^|/)(?:\.(?!/)|__MACOSX)")  # a part of a path that starts with a dot, or of a Mac's archive
TREE = f"[images/]{{train,validation,test}}/CLASS/*.jpg (a folder for each class, such as {', '.join(CLASSES)})"
REMEDY = (
    f"Point data.root at a folder or .zip that holds {TREE}, at fer2013.csv, add a list of labels by "
    "data.labels=list.csv, or use data.root=null for synthetic faces."
)

Remarks = Counter[str]  # kind of correction -> how often


@dataclass
class Listing:
    """The files of a source.

    Attributes:
        path: The folder or file itself.
        names: Path of each file inside the source, with "/".
        open: Function from such a path to the opened file.
        remarks: What was corrected or passed over.
        tables: Names of the label files that were read.
        key: SHA-256 of the paths, sizes, times and modes in a folder; empty for a file.
    """

    path: Path
    names: list[str]
    open: Callable[[str], IO[bytes]]
    remarks: Remarks
    key: str = ""
    tables: set[str] = field(default_factory=set)

    def open_text(self, name: str, errors: str = "surrogateescape") -> IO[str]:
        """Return an opened text in UTF-8; ``errors`` tells, as in ``open``, what becomes of other bytes."""
        self.tables.add(name)
        return io.TextIOWrapper(self.open(name), encoding="utf-8-sig", errors=errors, newline="")


def download() -> Path:
    """Return the folder of Kaggle's archive, downloaded if necessary.

    Raises:
        UserError: If kagglehub is not installed, or the download fails.
    """
    try:
        import kagglehub
    except ImportError as error:
        raise UserError(f"data.root=kaggle needs kagglehub: {install_command('kaggle')}") from error
    try:
        return Path(kagglehub.dataset_download(KAGGLE))
    except Exception as error:  # of kagglehub, requests or the file system: the remedy is the same
        raise UserError(
            f"data.root=kaggle: {KAGGLE} could not be downloaded ({error}). Log in with kagglehub.login() or the "
            "variables KAGGLE_USERNAME and KAGGLE_KEY; or fetch the zip in a browser from "
            f"https://www.kaggle.com/datasets/{KAGGLE} and point data.root at it."
        ) from error


def locate(root: str) -> Path:
    """Return the absolute path of a source; refuse all but files and folders, since a device never ends."""
    if not root:
        raise UserError(f"data.root= is empty: the current folder is written as data.root=. (with the dot). {REMEDY}")
    try:
        path = Path(root).expanduser().absolute()
    except RuntimeError as error:  # the home folder of an unknown user
        raise UserError(f"data.root={root:.200}: {error} {REMEDY}") from error
    kind = path_kind(path)
    if kind == "does not exist":
        raise UserError(f"data.root={root:.200} does not exist (looked for {path!s:.200}). {REMEDY}")
    if kind not in (FILE, FOLDER):
        raise UserError(f"data.root={root:.200} {kind}. {REMEDY}")
    known = path.name.lower().endswith((".csv", ".zip", *TARS))
    if kind == FILE and not known and not zipfile.is_zipfile(path):
        raise UserError(f"data.root={path} is no folder, .zip, .tar or .csv, and no other kind is read. {REMEDY}")
    return path


def no_layout(path: Path, names: Iterable[str]) -> UserError:
    """Return the error for a source without faces; it lists the top folders of the ``names`` in the source."""
    content = shorten(sorted({name.split("/")[0] for name in names})) or "nothing"
    archives = [name for name in sorted(names) if name.lower().endswith((".zip", *TARS))]
    unpack = f"Unpack {archives[0]}, or point data.root at it. " if archives else ""
    return UserError(f"{path} holds no faces in a known layout; found: {content}. {unpack}{REMEDY}")


@contextmanager
def explaining(path: Path) -> Iterator[None]:
    """Raise a UserError in place of an error of the disk or of a damaged archive."""
    try:
        yield
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}. {REMEDY}") from error
    except DAMAGE as error:
        reason = str(error).partition("\n")[0].rstrip(":")  # tarfile names each compression that it has tried
        kind = "tar" if path.name.lower().endswith(TARS) else "zip"
        raise UserError(
            f"{path} ({path.stat().st_size:,} bytes) is no whole {kind} archive: {reason}. Fetch it again. {REMEDY}"
        ) from error


def list_source(path: Path) -> Listing:
    """Return the files of a folder, csv or archive; a zip stays open as long as they are in use."""
    if path.is_dir():
        return list_folder(path)
    if path.suffix.lower() == ".csv":
        return list_file(path)
    return list_tar(path) if path.name.lower().endswith(TARS) else list_zip(path)


def list_folder(root: Path) -> Listing:
    """Return the files of a folder, folder by folder in alphabetical order."""
    names, links, key = list[str](), list[str](), hashlib.sha256()
    for folder, prefix, folders, files in _walk(root):
        links += [prefix + file_name(name) for name in folders if os.path.islink(os.path.join(folder, name))]
        for file in files:
            name = prefix + file_name(file)
            names.append(name)
            try:
                state = os.stat(os.path.join(folder, file))
                text = f"{name}\0{state.st_size}\0{state.st_mtime_ns}\0{state.st_mode}\n"
            except OSError:  # a broken or circular link: the reader names the reason
                text = f"{name}\n"
            key.update(text.encode(errors="surrogateescape"))
    remarks = remark("Linked folders that were not followed", links)
    return Listing(root, names, partial(_open_regular, root), remarks, key.hexdigest())


def list_file(path: Path) -> Listing:
    """Return a file as the only one of its source."""
    return Listing(path, [file_name(path.name)], lambda name: path.open("rb"), Remarks())


def list_zip(path: Path) -> Listing:
    """Return the files of an archive.

    Raises:
        UserError: If a member has a path outside the archive, is a link, encrypted or a bomb.
    """
    archive = zipfile.ZipFile(path)
    for member in archive.infolist():
        _check_member(path, member)
    members, repeated = dict[str, zipfile.ZipInfo](), list[str]()
    for member in archive.infolist():
        if not member.is_dir():
            name = member.filename.replace("\\", "/")
            if name in members:
                repeated.append(name)
            members[name] = member
    remarks = remark("Members with a repeated name, of which the last was read", repeated)
    return Listing(path, list(members), lambda name: archive.open(members[name]), remarks)


def list_tar(path: Path) -> Listing:
    """Return the files of a tar archive without pictures."""
    return Listing(path, _names_in_tar(path, path.stat().st_mtime_ns), partial(_open_in_tar, path), Remarks())


@cache
def _names_in_tar(path: Path, modified: int) -> list[str]:
    """Return the names of the files; ``modified`` is the archive's time, by which results are cached.

    Raises:
        UserError: If a member is no plain file or has a path outside the archive, or the archive is a bomb or holds
            pictures, which would be searched for from its beginning each time.
    """
    names, unpacked = list[str](), 0
    with tarfile.open(path) as archive:
        while (member := archive.next()) is not None:
            archive.members = []  # type: ignore[attr-defined]  # else it keeps each of millions
            unpacked += member.size + tarfile.BLOCKSIZE
            if unpacked > MAX_UNPACKED:
                raise UserError(f"{path} would unpack to more than {MAX_UNPACKED:,} bytes; point data.root at another.")
            if member.isdir():
                continue
            if not member.isreg() or _leaves(member.name):
                raise UserError(
                    f"{path}: unsafe member {member.name!r}, a link, a device or a path that leaves the archive; fetch "
                    "the archive from its author."
                )
            if is_picture(member.name):
                raise UserError(f"{path} holds pictures: unpack it, and point data.root at the folder.")
            names.append(member.name)
    return names


def outline(path: Path) -> Listing:
    """Return one file of each suffix in each folder of a source, and all tables: enough to know layout and classes."""
    if path.is_dir():
        names = (prefix + file_name(file) for _, prefix, _, files in _walk(path) for file in files)
        return Listing(path, _thin_out(names), partial(_open_regular, path), Remarks())
    if path.name.lower().endswith((".csv", *TARS)):
        return list_source(path)
    return Listing(path, _outline_of_zip(path, path.stat().st_mtime_ns), partial(_open_member, path), Remarks())


@cache
def _outline_of_zip(path: Path, modified: int) -> list[str]:
    """Return the names in ``outline``; ``modified`` is the archive's time, by which results are cached."""
    with zipfile.ZipFile(path) as archive:
        return _thin_out(name.replace("\\", "/") for name in archive.namelist() if not name.endswith("/"))


def _thin_out(names: Iterable[str]) -> list[str]:
    first: dict[tuple[str, str], str] = {}
    for name in names:
        folder, _, file = name.rpartition("/")
        suffix = os.path.splitext(file)[1].lower()
        if not HIDDEN.search(name):
            first.setdefault((folder, file if suffix in TABLES else suffix), name)
    return list(first.values())


def remark(kind: str, names: Sequence[str]) -> Remarks:
    """Return a remark about files, with their number and the first names; none if there are no files."""
    return Remarks({f"{kind} ({shorten(map(write_name, sorted(names)))})": len(names)} if names else {})


def is_picture(name: str) -> bool:
    """Return whether a path has the suffix of a picture and no hidden part."""
    return name.lower().endswith(SUFFIXES) and not HIDDEN.search(name)


def shorten(texts: Iterable[str], limit: int = 8) -> str:
    """Return the first texts, and how many more there are."""
    texts = list(texts)
    shown = "; ".join(texts[:limit])
    return f"{shown}; and {len(texts) - limit:,} more" if len(texts) > limit else shown


def _walk(root: Path) -> Iterator[tuple[str, str, list[str], list[str]]]:
    """Yield each folder, the beginning of its files' names in a listing, and its folders and files by the alphabet."""
    for folder, folders, files in os.walk(root, onerror=_raise):  # follows no links, which may be loops
        folders.sort()
        prefix = os.path.relpath(folder, root).replace(os.sep, "/")
        yield folder, "" if prefix == "." else file_name(f"{prefix}/"), folders, sorted(files)


def _raise(error: OSError) -> None:
    raise error


def _open_regular(root: Path, name: str) -> IO[bytes]:
    path = os.path.join(root, os.fsdecode(name.encode(errors="surrogateescape")))  # the inverse of ``file_name``
    if os.path.exists(path) and not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError("not a regular file")  # a pipe would block the reader for ever
    return open(path, "rb")


def _open_member(path: Path, name: str) -> IO[bytes]:
    with zipfile.ZipFile(path) as archive:
        return archive.open(name)  # the member keeps the file open


def _open_in_tar(path: Path, name: str) -> IO[bytes]:
    archive = tarfile.open(path)  # noqa: SIM115  # the member reads from it
    while (member := archive.next()) is not None:
        if member.name == name and (file := archive.extractfile(member)):
            return file
    raise FileNotFoundError(f"{name} is no longer in {path}")


def _leaves(name: str) -> bool:
    """Return whether the path of a member leaves its archive."""
    return name.startswith("/") or re.match("[A-Za-z]:", name) is not None or ".." in name.split("/")


def _check_member(path: Path, member: zipfile.ZipInfo) -> None:
    name = member.filename.replace("\\", "/")
    linked = stat.S_ISLNK(member.external_attr >> 16)
    if linked or _leaves(name):
        kind = "a link" if linked else "a path that leaves the archive"
        raise UserError(f"{path}: unsafe member {member.filename!r}, {kind}; fetch the archive from its author.")
    if member.flag_bits & 0x1:
        raise UserError(f"{path}: member {member.filename!r} is encrypted; unpack the archive and give the folder.")
    if member.file_size > 10_000_000 and member.file_size > 1000 * member.compress_size:
        raise UserError(
            f"{path}: member {member.filename!r} would unpack from {member.compress_size:,} to "
            f"{member.file_size:,} bytes: a zip bomb; fetch the archive from its author."
        )
