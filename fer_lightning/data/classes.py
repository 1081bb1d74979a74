"""The names of the classes: their order, the folders that mean them, and the names that are allowed."""

import re
import shlex
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
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}")  # safe in paths, columns, names of metrics and pages
FEWEST, MOST = 2, 40


def arrange(folders: Iterable[str]) -> tuple[str, ...]:
    """Return the classes that the folders mean: FER2013's in their order, then the rest in alphabetical order."""
    classes = {SPELLINGS.get(folder.lower(), folder.lower()) for folder in folders}
    return (*(name for name in CLASSES if name in classes), *sorted(classes - set(CLASSES)))


def class_of(folder: str, classes: Sequence[str]) -> str | None:
    """Return the class with the name of the folder, or with another spelling of it; None if there is none."""
    by_name = {name.lower(): name for name in classes}
    return by_name.get(folder.lower()) or by_name.get(SPELLINGS.get(folder.lower(), ""))


def wrong_names(classes: Sequence[str]) -> str | None:
    """Return the fault in the names of classes, as the end of a sentence; None if they are allowed."""
    if not FEWEST <= len(classes) <= MOST:
        noun = "class" if len(classes) == 1 else "classes"
        return f"{len(classes)} {noun}: {FEWEST} to {MOST} are needed"
    if bad := next((name for name in classes if not NAME.fullmatch(name)), None):
        better = re.sub("[^a-z0-9]+", "_", bad.lower()).strip("_")[:40] or "other"
        return (
            f"the class {bad!r:.60}, which cannot name files, columns and metrics: use up to 40 letters (a to z), "
            f"digits, _ and -, such as {better}"
        )
    if len({name.lower() for name in classes}) < len(classes):
        return "two classes of one name"
    return None


def classes_of(record: Mapping[str, Any], source: str) -> tuple[str, ...]:
    """Return the classes in the record of a checkpoint.

    Raises:
        UserError: If they are no allowed names.
    """
    names = record.get("classes")
    if not isinstance(names, list | tuple) or not all(isinstance(name, str) for name in names):
        raise UserError(f"{source} is damaged: its classes are no names")
    if problem := wrong_names(names):
        raise UserError(f"{source} is damaged: it has {problem}")
    return tuple(names)


def check_same(
    trained: Sequence[str],
    faces: Sequence[str],
    source: str,
    joined: Mapping[str, Sequence[str] | None] | None = None,
) -> None:
    """Refuse faces whose classes or their order differ from those of a network.

    Args:
        trained: Classes of the network, in their order.
        faces: Classes of the faces, in their order.
        source: Option and file of the network, for the message.
        joined: Value of ``data.map``, where another can help: the message has one that does.
    """
    if list(trained) == list(faces):
        return
    strangers = [name for name in faces if name not in trained]
    remedy = "give data.root faces of its classes"
    if joined is not None and strangers:
        entries = [
            f"{name}:null" if members is None else f"{name}:[{','.join(members)}]"
            for name, members in joined.items()
            if name not in strangers
        ]
        entries += [f"{name}:null" for name in strangers if name not in joined]
        mapping = shlex.quote(f"data.map={{{','.join(entries)}}}")  # a shell would split it at its commas
        remedy = f"join or leave out what it does not know, such as {mapping}"
        if not entries:
            remedy = "write data.map=null"
    elif not strangers and len(faces) == len(trained):
        remedy += f" and data.classes=[{','.join(trained)}]"
    raise UserError(
        f"{source} was trained on the classes {', '.join(trained)}, and the faces have {', '.join(faces)}: {remedy}"
    )
