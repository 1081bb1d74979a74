"""Persons: who is shown in each face, by a pattern of the names of files."""

import re
from dataclasses import replace

import numpy as np

from fer_lightning.data.faces import Faces
from fer_lightning.data.listing import shorten
from fer_lightning.errors import UserError

CK48 = r"^(S\d{3})_\d{3}_\d{8}\."  # S010_004_00000017.png: person, recording, frame


def name_persons(faces: Faces, pattern: str | None) -> Faces:
    """Return the faces with their persons.

    Args:
        faces: A table.
        pattern: Regular expression that is searched in the file's name of each face; its one group is the person. None
            keeps the persons of the source, or takes those of CK+48's names.

    Raises:
        UserError: If the pattern does not match every name.
    """
    if pattern is None and faces.persons is not None:
        return faces
    expression = re.compile(pattern or CK48)
    matches = [expression.search(name.rsplit("/", 1)[-1]) for name in faces.names.tolist()]
    unmatched = [name for name, match in zip(faces.names, matches, strict=True) if not (match and match[1])]
    if not unmatched:
        return replace(faces, persons=np.array([match[1] for match in matches if match]))
    if pattern is None:
        return faces
    raise UserError(
        f"data.person={pattern:.200} finds no person in the names of {len(unmatched):,} of {len(faces):,} files: "
        f"{shorten(unmatched, 3)}; give a pattern that fits the name of every file, or null"
    )
