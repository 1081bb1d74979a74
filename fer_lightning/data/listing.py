"""The files of a folder or zip archive, once they are known to be safe.

Nothing is unpacked to disk, and no file of the source is ever written to.
"""

import hashlib
import os
import re
import stat
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from fer_lightning.data.faces import CLASSES
from fer_lightning.errors import FILE, FOLDER, UserError, install_command, stands_at
from fer_lightning.names import file_name

MAX_UNPACKED = 4 * 2**30  # bytes, all members of a zip together
KAGGLE = "jonathanoheix/face-expression-recognition-dataset"

SUFFIXES = {".jpg", ".jpeg", ".png", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".pgm", ".ppm"}
TREE = f"[images/]{{train,validation,test}}/CLASS/*.jpg (a folder for each class, such as {', '.join(CLASSES)})"
REMEDY = (
    f"Point data.root at a folder or .zip that holds {TREE}, at fer2013.csv, or use data.root=null for synthetic faces."
)

Files = dict[str, Callable[[], IO[bytes]]]  # path inside the source, with "/" -> how to open it
Remarks = Counter[str]  # what was put right -> how often


def download() -> Path:
    """Return the folder that Kaggle's archive was downloaded to.

    Raises:
        UserError: If kagglehub is not installed, or the archive cannot be had.
    """
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


def locate(root: str) -> Path:
    """Return the absolute path of a source; refuse what is neither a file nor a folder: a device never ends."""
    if not root:
        raise UserError(f"data.root= is empty: the current folder is written as data.root=. (with the dot). {REMEDY}")
    try:
        path = Path(root).expanduser().absolute()
    except RuntimeError as error:  # ~somebody
        raise UserError(f"data.root={root:.200}: {error} {REMEDY}") from error
    found = stands_at(path)
    if found == "does not exist":
        raise UserError(f"data.root={root:.200} does not exist (looked for {path!s:.200}). {REMEDY}")
    if found not in (FILE, FOLDER):
        raise UserError(f"data.root={root:.200} {found}. {REMEDY}")
    return path


def check_source(path: Path) -> None:
    """Refuse, at a glance, a source that can hold no faces: an empty folder, a file that is no whole zip archive."""
    try:
        if path.is_dir():
            if not os.listdir(path):
                raise no_layout(path, ())
        elif path.suffix.lower() != ".csv":
            with path.open("rb") as file:
                if not zipfile.is_zipfile(file):
                    raise no_archive(path, "its directory is missing")
    except OSError as error:
        raise closed(path, error) from error


def no_layout(path: Path, names: Iterable[str]) -> UserError:
    """Return the refusal of a source without faces, by the paths that are in it."""
    found = some(sorted({name.split("/")[0] for name in names})) or "nothing"
    return UserError(f"{path} holds no faces in a known layout; found: {found}. {REMEDY}")


def no_archive(path: Path, reason: object) -> UserError:
    """Return the refusal of a file that is no whole zip archive."""
    return UserError(
        f"{path} ({path.stat().st_size:,} bytes) is no whole zip archive: {reason}. Fetch it again. {REMEDY}"
    )


def closed(path: Path, error: OSError) -> UserError:
    """Return the refusal of a source that may not be read."""
    return UserError(f"{path} cannot be read: {error.strerror or error}. {REMEDY}")


def list_folder(root: Path) -> tuple[Files, str, Remarks]:
    """Return a folder's files, a SHA-256 of their paths, sizes, times and modes, and remarks."""
    files: Files = {}
    states, remarks = [], Remarks()
    for folder, folders, names in walk(root):  # enters no links, which may be loops
        linked = sum(os.path.islink(os.path.join(folder, name)) for name in folders)
        if linked:
            remarks["Linked folders that were not followed"] += linked
        for name in names:
            path = os.path.join(folder, name)
            relative = file_name(os.path.relpath(path, root).replace(os.sep, "/"))
            files[relative] = partial(_open_regular, path)
            try:
                state = os.stat(path)
                states.append(f"{relative}\0{state.st_size}\0{state.st_mtime_ns}\0{state.st_mode}")
            except OSError:  # a broken or circular link: reading it names the reason
                states.append(relative)
    key = hashlib.sha256("\n".join(sorted(states)).encode(errors="surrogateescape")).hexdigest()
    return files, key, remarks


def list_zip(path: Path, archive: zipfile.ZipFile) -> tuple[Files, Remarks]:
    """Return the files of an archive, and remarks.

    Raises:
        UserError: If a member would leave the archive, is a link, encrypted or a bomb.
    """
    for member in archive.infolist():
        _check_member(path, member)
    unpacked = sum(member.file_size for member in archive.infolist())
    if unpacked > MAX_UNPACKED:
        raise UserError(
            f"{path} would unpack to {unpacked:,} bytes, more than the {MAX_UNPACKED:,} allowed: a zip bomb or "
            "no data set of faces; point data.root at another."
        )
    members = [member for member in archive.infolist() if not member.is_dir()]
    files: Files = {member.filename.replace("\\", "/"): partial(archive.open, member) for member in members}
    repeated = len(members) - len(files)
    return files, Remarks({"Members under a name taken before, the last one read": repeated} if repeated else {})


def walk(root: Path) -> Iterator[tuple[str, list[str], list[str]]]:
    """Return what ``os.walk`` does; a folder that may not be entered is an error, and not passed over."""
    return os.walk(root, onerror=_raise)


def is_picture(name: str) -> bool:
    """Return whether a path is that of a picture, by its suffix, and not hidden."""
    path = PurePosixPath(name)
    return path.suffix.lower() in SUFFIXES and not any(part.startswith((".", "__MACOSX")) for part in path.parts)


def some(texts: Iterable[str], limit: int = 8) -> str:
    """Return the first texts and the number of the others."""
    texts = list(texts)
    return "; ".join(texts[:limit]) + (f"; and {len(texts) - limit:,} more" if len(texts) > limit else "")


def _raise(error: OSError) -> None:
    raise error


def _open_regular(path: str) -> IO[bytes]:
    if os.path.exists(path) and not stat.S_ISREG(os.stat(path).st_mode):
        raise OSError("not a regular file")  # opening a pipe would wait for ever
    return open(path, "rb")


def _check_member(path: Path, member: zipfile.ZipInfo) -> None:
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
