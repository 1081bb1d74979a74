"""Classes that are joined or left out: ``Faces`` -> ``Faces`` of other classes."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from fer_lightning.data.classes import class_of, wrong_names
from fer_lightning.data.crowd import join_answers
from fer_lightning.data.faces import Faces
from fer_lightning.errors import UserError

Map = Mapping[str, Sequence[str] | None]  # new class -> its members; class -> None where it is left out


def mapped_classes(classes: Sequence[str], joined: Map | None) -> tuple[str, ...]:
    """Return the classes after ``data.map``: those that stay in their order, then the new ones by the alphabet.

    Args:
        classes: Classes of the faces.
        joined: Value of ``data.map``. What ``wrong_map`` refuses is passed over.
    """
    names = {name for name in new_names(classes, joined or {}).values() if name is not None}
    return (*(name for name in classes if name in names), *sorted(names - set(classes)))


def wrong_map(classes: Sequence[str], joined: Map) -> str | None:
    """Return a sentence on what is wrong with ``data.map`` for faces of these classes; None if it is right."""
    members = [member for name, listed in joined.items() for member in listed or [name]]
    places = [class_of(member, classes) for member in members]
    if None in places:
        stranger = members[places.index(None)]
        return (
            f"data.map names {stranger}, and the classes of the faces are {', '.join(classes)}: name some of these, or "
            "none with data.map=null"
        )
    if repeated := next((name for name in places if places.count(name) > 1), None):
        return f"data.map names {repeated} more than once: a class can be joined to one class, or left out"
    if problem := wrong_names(mapped_classes(classes, joined)):
        return f"data.map leaves {problem}"
    return None


def map_faces(faces: Faces, joined: Map) -> Faces:
    """Return the faces with their new classes, without those that are left out.

    Args:
        faces: The table.
        joined: New class -> list of the classes that it joins; class -> None for one that is left out. Classes that
            are not named stay.

    Raises:
        UserError: If a class is unknown or named twice, or fewer than two classes are left.
    """
    if problem := wrong_map(faces.classes, joined):
        raise UserError(problem)
    classes = mapped_classes(faces.classes, joined)
    remarks = []
    for name, members in joined.items():
        if members is None:
            count = int((faces.labels == faces.classes.index(str(class_of(name, faces.classes)))).sum())
            remarks.append(f"Faces of {name} left out by data.map: {count:,}.")
        else:
            remarks.append(f"Faces of {', '.join(members)} read as {name} by data.map.")
    names = new_names(faces.classes, joined).values()
    new_labels = [-1 if name is None else classes.index(name) for name in names]
    return _relabel(replace(faces, remarks=(*faces.remarks, *remarks)), new_labels, classes)


def align(faces: Faces, classes: Sequence[str]) -> Faces:
    """Return the faces with their labels counted by the classes of a network, of which they may lack some."""
    if faces.classes == tuple(classes):
        return faces
    return _relabel(faces, [classes.index(name) for name in faces.classes], tuple(classes))


def _relabel(faces: Faces, new_labels: Sequence[int], classes: tuple[str, ...]) -> Faces:
    """Return the faces with new labels and classes; those whose new label is -1 are left out."""
    table = np.array([*new_labels, -1])  # the last for true labels that are no class, which are -1
    true_labels = None if faces.true_labels is None else table[faces.true_labels]
    crowd = None if faces.crowd is None else join_answers(faces.crowd, new_labels, len(classes))
    faces = faces.relabelled(table[faces.labels], classes, true_labels=true_labels, crowd=crowd)
    best_possible = None
    if faces.best_possible is not None and faces.true_labels is not None:
        test = faces.splits == "test"
        best_possible = float(np.mean(faces.labels[test] == faces.true_labels[test]))
    return replace(faces, best_possible=best_possible)


def new_names(classes: Sequence[str], joined: Map) -> dict[str, str | None]:
    """Return class -> new class, in the order of the classes; None for one that is left out."""
    names: dict[str, str | None] = {name: name for name in classes}
    for name, members in joined.items():
        for member in members or [name]:
            if (match := class_of(member, classes)) is not None:
                names[match] = name if members else None
    return names
