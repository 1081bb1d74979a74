"""Arrays kept on disk as one uncompressed .npz, so that a second run starts at once."""

import contextlib
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np

from fer_lightning.errors import FILE, stands_at
from fer_lightning.files import replacing

log = logging.getLogger(__name__)

Content = TypeVar("Content")


def save_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Write the arrays to ``path``; other processes see the whole file or none of it."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)  # type: ignore[arg-type]  # none of them is called allow_pickle
    except OSError as error:  # a full or read-only disk costs the next start some seconds, not this run
        log.warning("The cache %s could not be written (%s); the next start does the work anew.", path, error)


def load_arrays(path: Path, make: Callable[[dict[str, np.ndarray]], Content]) -> Content | None:
    """Return what ``make`` makes of the arrays written to ``path``, or None where there are none.

    A file that is damaged, or of which ``make`` raises an error because it holds something else, is deleted.
    """
    found = stands_at(path)
    if found == "does not exist":
        return None
    try:
        if found != FILE:  # to open a pipe would wait for ever
            raise ValueError(f"it {found}")
        # Checksums of the archive find any damage; numpy alone would leave the file open after it.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return make(dict(arrays))
    except Exception as error:  # what numpy and zipfile raise depends on where the damage is
        log.warning("The cache %s is damaged (%s) and is built anew.", path, error)
        with contextlib.suppress(OSError):
            path.unlink()
        return None
