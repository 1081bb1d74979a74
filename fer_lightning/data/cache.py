"""Faces kept on disk as one uncompressed .npz of plain arrays, so that a second run starts at once."""

import contextlib
import logging
import os
import tempfile
from pathlib import Path

import numpy as np

from fer_lightning.data.faces import Faces

log = logging.getLogger(__name__)


def save_faces(faces: Faces, path: Path) -> None:
    """Write the faces to ``path``; other processes see the whole file or none of it."""
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", suffix=".part", delete=False) as file:
            temporary = file.name
            np.savez(
                file,
                images=faces.images,
                labels=faces.labels,
                names=faces.names,
                splits=faces.splits,
                fingerprint=np.array(faces.fingerprint),
                unreadable=np.array(faces.unreadable, dtype=str).reshape(-1, 2),
                remarks=np.array(faces.remarks, dtype=str),
            )
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except OSError as error:  # a full or read-only disk costs the next start some seconds, not this run
        log.warning("The cache %s could not be written (%s); the next start reads the faces anew.", path, error)
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


def load_faces(path: Path, source: str) -> Faces | None:
    """Return the faces written to ``path``, or None where there are none; a damaged file is deleted."""
    try:
        # Checksums of the archive find any damage; numpy alone would leave the file open after it.
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            return Faces(
                images=arrays["images"],
                labels=arrays["labels"],
                names=arrays["names"],
                splits=arrays["splits"],
                source=source,
                fingerprint=str(arrays["fingerprint"]),
                unreadable=tuple(map(tuple, arrays["unreadable"].tolist())),
                remarks=tuple(arrays["remarks"].tolist()),
            )
    except FileNotFoundError:
        return None
    except Exception as error:  # what numpy and zipfile raise depends on where the damage is
        log.warning("The cache %s is damaged (%s) and is built anew.", path, error)
        with contextlib.suppress(OSError):
            path.unlink()
        return None
