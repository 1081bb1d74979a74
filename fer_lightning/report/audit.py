"""The audit for people: tables on the console, audit.csv, and the worst cases on its page."""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from rich.markup import escape
from rich.table import Table

from fer_lightning.data.audit import Audit
from fer_lightning.data.faces import Faces
from fer_lightning.data.twins import flat
from fer_lightning.files import write_csv
from fer_lightning.report.html import png
from fer_lightning.report.tables import print_table
from fer_lightning.words import percent

log = logging.getLogger(__name__)

GROUPS = 8  # of a kind on the page
PICTURES = 12  # of a group on the page
SHARES = ("in_training", "give_label", "one_with_others")  # ends of the names of figures that are shares


def print_audit(audit: Audit) -> None:
    """Print the counts, findings and alarms of an audit."""
    report = audit.report()
    columns = {}
    for split, counts in report["counts"].items():
        columns[split] = counts
        if published := report["published_counts"].get(split):
            columns[f"{split}, published"] = published
    table = Table("class", *columns, title=escape(f"{report['data']}: faces per class"))
    for name in audit.faces.classes:
        table.add_row(name, *(f"{counts[name]:,}" for counts in columns.values()))
    table.add_row("all", *(f"{sum(counts.values()):,}" for counts in columns.values()))
    print_table(table)
    findings = Table("finding", "number", title="findings")
    for name, number in audit.figures().items():
        title = name.removeprefix("audit/").replace("_", " ").replace("flat", "of one grey tone")
        findings.add_row(title, percent(number) if name.endswith(SHARES) else f"{number:,.0f}")
    copies, fer2013 = report["augmented_copies"], report["fer2013"]
    share = f"{copies['found']} of {copies['sampled']} ({percent(copies['share'])})"
    findings.add_row("augmented copies among sampled held-out faces", share)
    findings.add_row("FER2013 itself: twin in training", percent(fer2013["twin_in_training"]), style="dim")
    findings.add_row("FER2013 itself: augmented copies", percent(fer2013["augmented_copies"]), style="dim")
    print_table(findings)
    for line in (*report["differences"], *(f"alarm: {alarm}" for alarm in report["alarms"])):
        log.info(line)


def write_findings(path: Path, audit: Audit) -> None:
    """Write audit.csv, one row per file and finding."""
    write_csv(path, ["file", "split", "label", "finding", "detail"], _findings(audit))


def _findings(audit: Audit) -> Iterator[list[object]]:
    """Yield the rows of audit.csv."""
    faces, twins = audit.faces, audit.twins
    for name, reason in faces.unreadable:
        yield [name, "", "", "unreadable", reason]
    rows = np.flatnonzero(flat(faces.images))
    tones = [f"tones {faces.images[row].min()} to {faces.images[row].max()}" for row in rows]
    findings: list[tuple[np.ndarray, str, Iterable[object]]] = [(rows, "one grey tone", tones)]
    for finding, groups in (("identical twins", twins.identical), ("twins", twins.groups)):
        in_groups = np.bincount(groups, minlength=len(groups))[groups] > 1
        for mask, title in (
            (in_groups, f"one of {finding}"),
            (audit.contradictory(groups), f"{finding} with contradictory labels"),
            (audit.in_training(groups), f"held out, with {finding} in training"),
        ):
            rows = np.flatnonzero(mask)
            findings.append((rows, title, faces.names[groups[rows]]))  # a group is named after its first picture
    if faces.persons is not None:
        rows = np.flatnonzero(audit.person_in_training())
        findings.append((rows, "held out, person in training", faces.persons[rows]))
    held_out, train = audit.copies.T
    findings.append((held_out, "held out, copy of a training face", faces.names[train]))
    for rows, finding, details in findings:
        for row, detail in zip(rows, details, strict=True):
            yield [faces.names[row], faces.splits[row], faces.classes[faces.labels[row]], finding, detail]


def worst_cases(audit: Audit) -> list[dict[str, Any]]:
    """Return the sections of the page about the worst cases; a group of twins stands in one section only."""
    faces, twins = audit.faces, audit.twins
    groups = twins.groups
    contradictory = _largest(groups, audit.contradictory(groups))
    across = np.isin(groups, groups[audit.in_training(groups)]) & ~_in(groups, contradictory)
    split = _largest(groups, across)
    free = ~_in(groups, [*contradictory, *split])[twins.pairs[:, 0]]
    mirrored = twins.pairs[free & (twins.kinds == "mirrored")]
    unlike = twins.pairs[free & np.isin(twins.kinds, ("rescaled", "rotated", "shifted far"))]
    sections = (
        ("Twins in the training folder and outside it", "Whoever trains on one has seen the other.", split),
        ("Mirrored twins", "One is the other's mirror image.", _sample(mirrored)),
        ("Rescaled, rotated and shifted twins", "One is a part of the other, turned or moved.", _sample(unlike)),
        (
            "Augmented copies",
            "A sampled held-out face and the training face that it is a rotated, mirrored, cropped or shifted copy of.",
            _sample(audit.copies),
        ),
        ("Pictures of one grey tone", "They show nothing.", [np.flatnonzero(flat(faces.images))]),
    )
    return [contradictions(audit), *(_section(audit, *section) for section in sections)]


def contradictions(audit: Audit) -> dict[str, Any]:
    """Return the section of a page about the largest groups of twins with different labels."""
    groups = _largest(audit.twins.groups, audit.contradictory(audit.twins.groups))
    return _section(audit, "Twins with contradictory labels", "The same photograph under different labels.", groups)


def _section(audit: Audit, title: str, text: str, groups: Iterable[np.ndarray]) -> dict[str, Any]:
    """Return a section for templates/sections.html with the pictures of some groups of rows."""
    return {"title": title, "text": text, "groups": [list(_pictures(audit, rows)) for rows in groups if len(rows)]}


def _largest(groups: np.ndarray, mask: np.ndarray) -> list[np.ndarray]:
    """Return the rows of the largest groups that have rows in the mask (N,) bool."""
    heads, sizes = np.unique(groups[mask], return_counts=True)
    return [np.flatnonzero(groups == head) for head in heads[np.argsort(-sizes, kind="stable")][:GROUPS]]


def _in(groups: np.ndarray, chosen: list[np.ndarray]) -> np.ndarray:
    """Return (N,) bool: whether the group of each face is among the chosen groups of rows."""
    return np.isin(groups, [groups[rows[0]] for rows in chosen])


def _sample(pairs: np.ndarray) -> np.ndarray:
    """Return at most ``GROUPS`` pairs, spread evenly."""
    return pairs[:: max(1, len(pairs) // GROUPS)][:GROUPS]


def _pictures(audit: Audit, rows: np.ndarray) -> Iterator[dict[str, str]]:
    """Yield the pictures of a group: one of each label and split before a second one."""
    faces = audit.faces
    counts: Counter[tuple[int, str]] = Counter()
    turns = []
    for row in rows:
        kind = (faces.labels[row], faces.splits[row])
        turns.append(counts[kind])
        counts[kind] += 1
    for row in rows[np.argsort(turns, kind="stable")][:PICTURES]:
        yield face_figure(faces, row, f"{faces.classes[faces.labels[row]]}, {faces.splits[row]}")


def face_figure(faces: Faces, row: int, title: str) -> dict[str, str]:
    """Return a face for templates/sections.html, with a title and the name of its file."""
    return {"png": png(faces.images[row]), "title": title, "name": str(faces.names[row]).rsplit("/", 1)[-1]}
