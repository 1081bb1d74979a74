"""The folders that this process works in. It claims them, so that no other process writes there."""

import os
import platform
import shutil
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from filelock import FileLock, Timeout

from fer_lightning.errors import UserError

LOCK = ".lock"  # never deleted: two processes could hold two files of that name
NOTES = {".hydra", LOCK, ".writing.lock", "multirun.yaml", "study.db"}  # files of a folder before its run has begun


class BusyError(UserError):
    """Another process has claimed a folder."""


class Claim(NamedTuple):
    """A claimed folder."""

    lock: FileLock
    made: list[Path]  # folders that were made for it, the innermost first
    before: dict[Path, int]  # content before the claim -> time of its last change, ns

    @property
    def folder(self) -> Path:
        """Return the folder."""
        return Path(self.lock.lock_file).parent


_claims: dict[str, Claim] = {}  # by "sweep" and "run"


def claim(what: str, folder: Path, remedy: str, fresh: Collection[str] = ()) -> None:
    """Make the folder of a ``sweep`` or ``run`` and claim it until the process ends; release the one before.

    Args:
        what: ``sweep`` or ``run``.
        folder: Its folder.
        remedy: What to do if another process has claimed it.
        fresh: Names of files that Hydra makes before the claim; a folder that holds no others is new.

    Raises:
        BusyError: If another process has claimed the folder.
    """
    folder = folder.absolute()
    made = [path for path in (folder, *folder.parents) if not os.path.exists(path)]
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / LOCK, is_singleton=True)
    if what in _claims and _claims[what].lock is lock:
        return
    before = _content(folder)
    if before and all(path.name in (*fresh, LOCK) for path in before):
        made, before = [folder], {}
    if what in _claims:
        _claims.pop(what).lock.release(force=True)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        with suppress(OSError):
            remedy += (folder / LOCK).read_text(encoding="utf-8")
        raise BusyError(f"another process works in {folder}: wait for it, or {remedy}") from None
    with suppress(OSError):  # Windows lets nobody write into a locked file
        (folder / LOCK).write_text(f" (it is process {os.getpid()} on {platform.node()})", encoding="utf-8")
    _claims[what] = Claim(lock, made, before)


def current_folder() -> Path | None:
    """Return the folder of the current run, before the first job of a sweep that of the sweep, or None."""
    current = _claims.get("run", _claims.get("sweep"))
    return None if current is None else current.folder


def deleted_folder() -> Path | None:
    """Return a claimed folder that was deleted, or None."""
    return next((claim.folder for claim in _claims.values() if not Path(claim.lock.lock_file).exists()), None)


def withdraw(what: str) -> bool:
    """Delete a claimed folder in which nothing has begun, with the folders that were made for it.

    Return False where there are new files beside Hydra's and the logs. Earlier content stays.
    """
    current = _claims.get(what)
    if current is None or not current.folder.is_dir():
        return False
    new = [path for path, time in _content(current.folder).items() if current.before.get(path) != time]
    if not all(map(_is_note, new)):
        return False
    del _claims[what]
    current.lock.release(force=True)
    for path in set(new) - current.before.keys():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()
    with suppress(OSError):  # a folder with other content ends it
        for folder in current.made:
            folder.rmdir()
    return True


def release() -> None:
    """Release every folder."""
    while _claims:
        _claims.popitem()[1].lock.release(force=True)


def _content(folder: Path) -> dict[Path, int]:
    return {path: path.lstat().st_mtime_ns for path in folder.iterdir()}


def _is_note(path: Path) -> bool:
    return path.name in NOTES or path.suffix == ".log"
