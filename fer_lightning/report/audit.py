"""What the audit shows: tables on the console, audit.csv, the worst cases of its page."""

import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from rich.markup import escape
from rich.table import Table

from fer_lightning.data.audit import Audit
from fer_lightning.data.twins import flat
from fer_lightning.files import write_csv
from fer_lightning.report.html import png
from fer_lightning.report.tables import print_table
from fer_lightning.words import percent

log = logging.getLogger(__name__)

GROUPS = 8  # of a kind on the page
PICTURES = 12  # of a group on the page


def show(audit: Audit) -> None:
    """Print the audit's page on the console."""
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
    found = Table("finding", "number", title="findings")
    for name, number in audit.figures().items():
        share = name.endswith("in_training")
        words = name.removeprefix("audit/").replace("_", " ").replace("flat", "of one grey tone")
        found.add_row(words, percent(number) if share else f"{number:,.0f}")
    copies, own = report["augmented_copies"], report["fer2013"]
    copied = f"{copies['found']} of {copies['sampled']} ({percent(copies['share'])})"
    found.add_row("augmented copies among sampled held-out faces", copied)
    found.add_row("FER2013 itself: twin in training", percent(own["twin_in_training"]), style="dim")
    found.add_row("FER2013 itself: augmented copies", percent(own["augmented_copies"]), style="dim")
    print_table(table)
    print_table(found)
    for line in (*report["differences"], *(f"alarm: {alarm}" for alarm in report["alarms"])):
        log.info(line)


def write_files(path: Path, audit: Audit) -> None:
    """Write one row per file and finding."""
    write_csv(path, ["file", "split", "label", "finding", "detail"], _findings(audit))


def _findings(audit: Audit) -> Iterator[list[object]]:
    """Yield the rows of audit.csv."""
    faces, twins = audit.faces, audit.twins

    def of(rows: np.ndarray, finding: str, details: Iterable[object]) -> Iterator[list[object]]:
        for row, detail in zip(rows, details, strict=True):
            yield [faces.names[row], faces.splits[row], faces.classes[faces.labels[row]], finding, detail]

    for name, reason in faces.unreadable:
        yield [name, "", "", "unreadable", reason]
    rows = np.flatnonzero(flat(faces.images))
    tones = (f"tones {faces.images[row].min()} to {faces.images[row].max()}" for row in rows)
    yield from of(rows, "one grey tone", tones)
    for finding, groups in (("identical twins", twins.identical), ("twins", twins.groups)):
        rows = np.flatnonzero(np.bincount(groups, minlength=len(groups))[groups] > 1)
        yield from of(rows, f"one of {finding}", faces.names[groups[rows]])  # named after the group's first picture
        rows = np.flatnonzero(audit.contradictory(groups))
        yield from of(rows, f"{finding} with contradictory labels", faces.names[groups[rows]])
        rows = np.flatnonzero(audit.in_training(groups))
        yield from of(rows, f"held out, with {finding} in training", faces.names[groups[rows]])
    held_out, train = audit.copies.T
    yield from of(held_out, "held out, copy of a training face", faces.names[train])


def worst(audit: Audit) -> list[dict]:
    """Return the pictures of the worst cases for the page; a group of twins is shown once."""
    faces, twins = audit.faces, audit.twins
    groups = twins.groups
    first = _largest(groups, audit.contradictory(groups))
    across = np.isin(groups, groups[audit.in_training(groups)]) & ~_in(groups, first)
    second = _largest(groups, across)
    pairs = ~_in(groups, [*first, *second])[twins.pairs[:, 0]]
    mirrored = twins.pairs[pairs & (twins.kinds == "mirrored")]
    unlike = twins.pairs[pairs & np.isin(twins.kinds, ("rescaled", "rotated", "shifted far"))]
    sections = (
        ("Twins in the training folder and outside it", "Whoever trains on one has seen the other.", second),
        ("Mirrored twins", "One is the other's mirror image.", _some(mirrored)),
        ("Rescaled, rotated and shifted twins", "One is a part of the other, turned or moved.", _some(unlike)),
        (
            "Augmented copies",
            "A sampled held-out face and the training face that it is a rotated, mirrored, cropped or shifted copy of.",
            _some(audit.copies),
        ),
        ("Pictures of one grey tone", "They show nothing.", [np.flatnonzero(flat(faces.images))]),
    )
    return [contradictions(audit), *(_section(audit, *section) for section in sections)]


def contradictions(audit: Audit) -> dict:
    """Return the largest groups of twins that do not agree on a label, for a page."""
    groups = audit.twins.groups
    found = _largest(groups, audit.contradictory(groups))
    return _section(audit, "Twins with contradictory labels", "The same photograph under different labels.", found)


def _section(audit: Audit, title: str, text: str, found: Iterable[np.ndarray]) -> dict:
    """Return what templates/sections.html shows of some groups of rows."""
    return {"title": title, "text": text, "groups": [list(_pictures(audit, rows)) for rows in found if len(rows)]}


def _largest(groups: np.ndarray, chosen: np.ndarray) -> list[np.ndarray]:
    """Return the rows of the largest groups among the chosen rows."""
    heads, sizes = np.unique(groups[chosen], return_counts=True)
    return [np.flatnonzero(groups == head) for head in heads[np.argsort(-sizes, kind="stable")][:GROUPS]]


def _in(groups: np.ndarray, shown: Sequence[np.ndarray]) -> np.ndarray:
    """Return (N,) bool: whether each face's group is among some groups of rows."""
    return np.isin(groups, [groups[rows[0]] for rows in shown])


def _some(pairs: np.ndarray) -> np.ndarray:
    """Return a few pairs, spread over all of them."""
    return pairs[:: max(1, len(pairs) // GROUPS)][:GROUPS]


def _pictures(audit: Audit, rows: np.ndarray) -> Iterator[dict[str, str]]:
    """Yield what the page shows of some faces, one of each label and split before a second one."""
    faces = audit.faces
    seen: Counter[tuple[int, str]] = Counter()
    turns = []
    for row in rows:
        kind = (faces.labels[row], faces.splits[row])
        turns.append(seen[kind])
        seen[kind] += 1
    for row in rows[np.argsort(turns, kind="stable")][:PICTURES]:
        yield {
            "png": png(faces.images[row]),
            "title": f"{faces.classes[faces.labels[row]]}, {faces.splits[row]}",
            "name": str(faces.names[row]).rsplit("/", 1)[-1],
        }
