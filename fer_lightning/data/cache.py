"""Cache of arrays, one uncompressed .npz file for each source, so that a second run starts at once."""

import contextlib
import hashlib
import logging
from pathlib import Path

import numpy as np

from fer_lightning.errors import FILE, path_kind
from fer_lightning.files import replacing

log = logging.getLogger(__name__)


def save_arrays(path: Path, arrays: dict[str, np.ndarray]) -> None:
    """Write the arrays and their checksum to a file; a full or read-only disk is only a warning."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as temporary, temporary.open("wb") as file:
            np.savez(file, checksum=np.array(_checksum(arrays)), **arrays)  # type: ignore[arg-type]  # allow_pickle
    except OSError as error:
        log.warning("The cache %s could not be written (%s); the next start does the work anew.", path, error)


def load_arrays(path: Path) -> dict[str, np.ndarray] | None:
    """Return the arrays of a file, or None if there is no such file. A damaged or edited file is deleted."""
    kind = path_kind(path)
    if kind == "does not exist":
        return None
    try:
        if kind != FILE:  # a pipe would block the reader for ever
            raise ValueError(f"it {kind}")
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = dict(archive)
        if str(arrays.pop("checksum")) != _checksum(arrays):
            raise ValueError("its checksum is wrong")
        return arrays
    except Exception as error:  # numpy and zipfile raise many kinds, by the position of the damage
        log.warning("The cache %s is damaged (%s) and is built anew.", path, error)
        with contextlib.suppress(OSError):
            path.unlink()
        return None


def _checksum(arrays: dict[str, np.ndarray]) -> str:
    """Return the SHA-256 of names, types, shapes and contents, hexadecimal."""
    digest = hashlib.sha256()
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
