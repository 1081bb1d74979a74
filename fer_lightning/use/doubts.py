"""Doubted labels of a run: corrections.csv, labels.html, and a figure if the wrong labels are known."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from fer_lightning.data.audit import Audit
from fer_lightning.data.crowd import contradicts
from fer_lightning.data.faces import Faces
from fer_lightning.files import write_csv
from fer_lightning.report.audit import contradictions, face_figure
from fer_lightning.report.html import data_url, write_page
from fer_lightning.report.style import GREY, RUN_COLORS, STYLE, new_figure, save, share_axis
from fer_lightning.report.yardsticks import near_chance
from fer_lightning.use.judgement import FOLDS, Judgement
from fer_lightning.words import percent

EXAMPLES = 24  # pictures of a class on the page
FIRST = 1000  # labels whose precision is shown; fewer where fewer are wrong
COLUMNS = ("file", "label", "believed", "certainty", "label_vote", "twins", "contradictory_twins", "trained_on")


def write_labels(folder: Path, run: str, judgement: Judgement, audit: Audit) -> list[str]:
    """Write corrections.csv, labels.html with the run's name and, if the wrong labels are known, figures/labels.png.

    Return the lines for the console.
    """
    faces = audit.faces
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(folder / "corrections.csv", COLUMNS, corrections(judgement, audit))
    table, contradictory = per_class(judgement, faces), audit.contradictory(audit.twins.groups)[judgement.rows]
    twins = int(contradictory.sum()), int((contradictory & judgement.doubted).sum())
    parts = {"of faces that trained the network": judgement.trained_on, "of other faces": ~judgement.trained_on}
    doubts = {name: (int(judgement.doubted[part].sum()), int(part.sum())) for name, part in parts.items()}
    classes = [f"{row['name']} {row['doubted']:,} of {row['faces']:,}" for row in table]
    shares = [f"{part:,} of {size:,} {name} ({percent(part / size)})" for name, (part, size) in doubts.items() if size]
    lines = [
        f"doubted labels of the training folder: {', '.join(classes)}",
        f"doubted: {'; '.join(shares)}. A network believes more of what it was trained on, right or wrong",
        f"faces with a twin under another label: {twins[0]:,}, {twins[1]:,} of them doubted",
    ]
    if (truth := worth(judgement, faces)) is not None:
        truth["figure"] = data_url(save(curve(truth), folder / "figures" / "labels.png").read_bytes())
        lines.append(
            f"{truth['wrong']:,} labels are {truth['known']}: {percent(truth['precision'])} of the first "
            f"{truth['first']:,}, {percent(truth['doubted'])} of all doubted labels (of a random list "
            f"{percent(truth['chance'])}); the doubted are {percent(truth['recall'])} of the wrong ones"
        )
    write_page(
        folder / "labels.html",
        "labels.html",
        title="Labels",
        run=run,
        data=faces.source,
        folds=FOLDS,
        classes=faces.classes,
        table=table,
        doubts=doubts,
        contradictory=twins,
        truth=truth,
        sections=[*least_believable(judgement, faces), contradictions(audit)],
    )
    return lines


def too_weak(judgement: Judgement, classes: Sequence[str]) -> str:
    """Return why a network near chance must doubt no label; empty for a better one."""
    number, counts = len(judgement.labels), np.bincount(judgement.labels, minlength=len(classes))
    share, believed = counts.max() / number, 1 - judgement.doubted.mean()
    if not near_chance(believed, number, share):
        return ""
    return (
        f"its network is near chance: it believes {percent(believed)} of the {number:,} labels of the training folder, "
        f"where always answering {classes[int(counts.argmax())]} has {percent(share)}. It cannot judge labels: "
        "nothing was listed. Give a run that trained longer"
    )


def corrections(judgement: Judgement, audit: Audit) -> Iterator[tuple[object, ...]]:
    """Yield the ``COLUMNS`` of each doubted label, the least believable first, as ``data.corrections`` reads them."""
    faces, groups = audit.faces, audit.twins.groups
    contradictory_twins = audit.contradictory(groups)
    for position in np.flatnonzero(judgement.doubted):
        row = judgement.rows[position]
        yield (
            str(faces.names[row]),
            faces.classes[judgement.labels[position]],
            faces.classes[judgement.believed[position]],
            f"{judgement.believed_votes[position]:.6f}",
            f"{judgement.label_votes[position]:.6f}",
            groups[row],
            int(contradictory_twins[row]),
            int(judgement.trained_on[position]),
        )


def per_class(judgement: Judgement, faces: Faces) -> list[dict]:
    """Return for each class: faces, doubted labels, and how many of these are believed to be each class."""
    table = []
    for label, name in enumerate(faces.classes):
        members = judgement.labels == label
        doubted = members & judgement.doubted
        believed = np.bincount(judgement.believed[doubted], minlength=len(faces.classes)).tolist()
        table.append({"name": name, "faces": int(members.sum()), "doubted": int(doubted.sum()), "believed": believed})
    return table


def worth(judgement: Judgement, faces: Faces) -> dict[str, Any] | None:
    """Return the precision and recall of the list, by the truth or by people; None if unknown, or no label is wrong."""
    if faces.true_labels is not None:
        wrong, phrase = faces.true_labels[judgement.rows] != judgement.labels, "known to be wrong"
    elif faces.crowd is not None:
        wrong = contradicts(faces.crowd[judgement.rows], judgement.labels)
        phrase = "wrong by people's most frequent answer"
    else:
        return None
    number, doubted = int(wrong.sum()), judgement.doubted
    first = min(number, FIRST)
    if not number:
        return None
    return {
        "known": phrase,
        "hits": np.cumsum(wrong),  # (M,) wrong labels among the first 1, 2, ... M
        "wrong": number,
        "first": first,
        "precision": float(wrong[:first].mean()),
        "doubted": float(wrong[doubted].mean()),
        "recall": float(wrong[doubted].sum() / number),
        "chance": float(wrong.mean()),
    }


@rc_context(STYLE)
def curve(truth: dict[str, Any]) -> Figure:
    """Return a plot of precision against recall, with a dot at the precision that is shown."""
    hits, first, precision = truth["hits"], truth["first"], truth["precision"]
    figure, axes = new_figure(4.6, 3.4)
    axes.plot(hits / hits[-1], hits / np.arange(1, len(hits) + 1), color=RUN_COLORS[0])
    dot = (hits[first - 1] / hits[-1], precision)
    axes.plot(*dot, "o", color=RUN_COLORS[1])
    text = f"first {first:,}: {percent(precision)}"
    axes.annotate(text, dot, xytext=(-6, -14), textcoords="offset points", ha="right")
    axes.axhline(truth["chance"], color=GREY, linestyle=":", linewidth=1)
    axes.set(xlabel="wrong labels that the list holds", ylabel="wrong labels in the list", ylim=(0, 1.02))
    share_axis(axes.xaxis, axes.yaxis)
    return figure


def least_believable(judgement: Judgement, faces: Faces) -> Iterator[dict]:
    """Yield a section of the page for each class, with its least believable labels."""
    for label, name in enumerate(faces.classes):
        doubted = np.flatnonzero((judgement.labels == label) & judgement.doubted)
        examples = [_example(judgement, faces, position) for position in doubted[:EXAMPLES]]
        yield {
            "title": f"Labelled {name}",
            "text": f"{len(doubted):,} labels are doubted; the {len(examples)} least believable, worst first: share of "
            "the vote for the label, then for the class that is believed.",
            "groups": [examples] if examples else [],
        }


def _example(judgement: Judgement, faces: Faces, position: int) -> dict[str, str]:
    label, believed = faces.classes[judgement.labels[position]], faces.classes[judgement.believed[position]]
    votes = percent(judgement.label_votes[position], 0), percent(judgement.believed_votes[position], 0)
    return face_figure(faces, judgement.rows[position], f"{label} {votes[0]}, {believed} {votes[1]}")
