"""The folders that this process works in, claimed for as long as it does: no other may write into them."""

from pathlib import Path

from filelock import FileLock, Timeout

from fer_lightning.errors import UserError

LOCK = ".lock"  # stays when the process has ended: were it deleted, two processes could hold two files of one name
_held: dict[str, FileLock] = {}  # the sweep that this process runs, and the run at hand


def claim(what: str, folder: Path, remedy: str) -> None:
    """Make a folder and claim it, in place of an earlier one; the system lets go of it with the process.

    Args:
        what: ``sweep`` or ``run``.
        folder: Its folder.
        remedy: What whoever comes second may do.

    Raises:
        UserError: If another process holds the folder.
    """
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder.absolute() / LOCK, is_singleton=True)
    if _held.get(what) is lock:
        return
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise UserError(f"another process works in {folder}: wait for it, or {remedy}") from None
    if what in _held:
        _held[what].release(force=True)
    _held[what] = lock


def at_hand() -> Path | None:
    """Return the folder of the run at hand, or that of a sweep before its first job; None before either."""
    lock = _held.get("run", _held.get("sweep"))
    return None if lock is None else Path(lock.lock_file).parent


def lost() -> Path | None:
    """Return a claimed folder that somebody has deleted; None where there is none."""
    return next((path.parent for lock in _held.values() if not (path := Path(lock.lock_file)).exists()), None)


def release() -> None:
    """Let go of every folder."""
    while _held:
        _held.popitem()[1].release(force=True)
