"""The names of the classes: which folder stands for which, in which order, and which names can be."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from fer_lightning.data.faces import CLASSES
from fer_lightning.errors import UserError

SPELLINGS = {name: name for name in CLASSES} | {
    "anger": "angry",
    "disgusted": "disgust",
    "fearful": "fear",
    "scared": "fear",
    "afraid": "fear",
    "happiness": "happy",
    "sadness": "sad",
    "surprised": "surprise",
}
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")  # stands in paths, columns, names of metrics and pages
FEWEST, MOST = 2, 40


def arrange(folders: Iterable[str]) -> tuple[str, ...]:
    """Return the classes of some folders: the seven known ones in their order, then the others by the alphabet."""
    found = {SPELLINGS.get(folder.lower(), folder.lower()) for folder in folders}
    return (*(name for name in CLASSES if name in found), *sorted(found - set(CLASSES)))


def class_of(folder: str, classes: Sequence[str]) -> str | None:
    """Return which of the classes a folder stands for: the one of its name, or of a known spelling of it; else None."""
    own = {name.lower(): name for name in classes}
    return own.get(folder.lower()) or own.get(SPELLINGS.get(folder.lower(), ""))


def wrong_names(classes: Sequence[str]) -> str | None:
    """Return what is wrong with some names of classes, as words for a message; None where they can be."""
    if not FEWEST <= len(classes) <= MOST:
        return f"{len(classes)} class{'es' * (len(classes) != 1)}, and {FEWEST} to {MOST} can be told apart"
    if bad := next((name for name in classes if not NAME.fullmatch(name)), None):
        return (
            f"the class {bad!r:.60}, which cannot name files, columns and metrics: use up to 40 "
            f"letters (a to z), digits, _ and -, such as "
            + (re.sub("[^a-z0-9]+", "_", bad.lower()).strip("_")[:40] or "other")
        )
    if len({name.lower() for name in classes}) < len(classes):
        return "two classes of one name"
    return None


def classes_of(record: Mapping[str, Any], source: str) -> tuple[str, ...]:
    """Return the classes that a network was trained on, by a table of its checkpoint; older ones have the seven.

    Raises:
        UserError: If they are no names.
    """
    names = record.get("classes", CLASSES)
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise UserError(f"{source} is damaged: its classes are no names")
    if wrong := wrong_names(names):
        raise UserError(f"{source} is damaged: it has {wrong}")
    return tuple(names)


def check_same(trained: Sequence[str], faces: Sequence[str], source: str) -> None:
    """Refuse faces of other classes than a network was trained on.

    Args:
        trained: Classes of the network, in their order.
        faces: Those of the faces.
        source: Name of the network's file, after the option that gave it.
    """
    if list(trained) == list(faces):
        return
    order = f" and data.classes=[{','.join(trained)}]" if set(trained) == set(faces) else ""
    raise UserError(
        f"{source} was trained on the classes {', '.join(trained)}, and the faces have {', '.join(faces)}: give "
        f"data.root faces of its classes{order}"
    )
