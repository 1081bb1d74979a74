"""Arrays kept on disk as one uncompressed .npz, so that a second run starts at once."""

import contextlib
import logging
import os
import tempfile
from pathlib import Path

import numpy as np

log = logging.getLogger(__name__)


def save_arrays(path: Path, **arrays: np.ndarray) -> None:
    """Write the arrays to ``path``; other processes see the whole file or none of it."""
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", suffix=".part", delete=False) as file:
            temporary = file.name
            np.savez(file, **arrays)  # type: ignore[arg-type]  # none of them is called allow_pickle
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:  # a full or read-only disk costs the next start some seconds, not this run
        log.warning("The cache %s could not be written (%s); the next start does the work anew.", path, error)
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def load_arrays(path: Path) -> dict[str, np.ndarray] | None:
    """Return the arrays written to ``path``, or None where there are none; a damaged file is deleted."""
    try:
        # Checksums of the archive find any damage; numpy alone would leave the file open after it.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return dict(arrays)
    except FileNotFoundError:
        return None
    except Exception as error:  # what numpy and zipfile raise depends on where the damage is
        log.warning("The cache %s is damaged (%s) and is built anew.", path, error)
        with contextlib.suppress(OSError):
            path.unlink()
        return None
