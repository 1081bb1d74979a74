"""The folders that this process works in, claimed for as long as it does: no other may write into them."""

import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from fer_lightning.errors import UserError

LOCK = ".lock"  # stays when the process has ended: were it deleted, two processes could hold two files of one name
NOTES = {".hydra", LOCK, ".writing.lock", "multirun.yaml", "study.db"}  # what a folder holds before anything has begun


class Claim(NamedTuple):
    """A claimed folder.

    Attributes:
        lock: What holds it.
        made: Folders that were made for it, the innermost first.
        before: What stood in it before -> when that was last written, ns.
    """

    lock: FileLock
    made: list[Path]
    before: dict[Path, int]

    @property
    def folder(self) -> Path:
        """The folder."""
        return Path(self.lock.lock_file).parent


_held: dict[str, Claim] = {}  # the sweep that this process runs, and the run at hand


def claim(what: str, folder: Path, remedy: str) -> None:
    """Make a folder and claim it, in place of an earlier one; the system lets go of it with the process.

    Args:
        what: ``sweep`` or ``run``.
        folder: Its folder.
        remedy: What whoever comes second may do.

    Raises:
        UserError: If another process holds the folder.
    """
    folder = folder.absolute()
    made = [place for place in (folder, *folder.parents) if not os.path.exists(place)]
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK, is_singleton=True)
    if what in _held and _held[what].lock is lock:
        return
    before = _entries(folder)
    if before and all(map(_is_note, before)):  # of a sweep's job, which Hydra has made just now
        made, before = [folder], {}
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(f"another process works in {folder}: wait for it, or {remedy}") from None
    if what in _held:
        _held[what].lock.release(force=True)
    _held[what] = Claim(lock, made, before)


def at_hand() -> Path | None:
    """Return the folder of the run at hand, or that of a sweep before its first job; None before either."""
    held = _held.get("run", _held.get("sweep"))
    return None if held is None else held.folder


def lost() -> Path | None:
    """Return a claimed folder that somebody has deleted; None where there is none."""
    return next((held.folder for held in _held.values() if not Path(held.lock.lock_file).exists()), None)


def withdraw(what: str) -> bool:
    """Take back a claimed folder in which nothing has begun, with the folders that were made for it.

    What stood there before stays.

    Returns:
        Whether it was taken back; not where something has been written beside the notes of the command itself.
    """
    held = _held.get(what)
    if held is None or not held.folder.is_dir():
        return False
    new = [path for path, written in _entries(held.folder).items() if held.before.get(path) != written]
    if not all(map(_is_note, new)):
        return False
    del _held[what]
    held.lock.release(force=True)
    for path in set(new) - held.before.keys():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    with suppress(OSError):  # the first that holds something else
        for folder in held.made:
            folder.rmdir()
    return True


def release() -> None:
    """Let go of every folder."""
    while _held:
        _held.popitem()[1].lock.release(force=True)


def _entries(folder: Path) -> dict[Path, int]:
    return {path: path.lstat().st_mtime_ns for path in folder.iterdir()}


def _is_note(path: Path) -> bool:
    return path.name in NOTES or path.suffix == ".log"
