"""Doubted labels of a run: corrections.csv, labels.html, and a figure if the wrong labels are known."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from fer_lightning.data.audit import Audit
from fer_lightning.data.crowd import contradicts
from fer_lightning.data.faces import Faces
from fer_lightning.files import write_csv
from fer_lightning.report.audit import contradictions
from fer_lightning.report.html import embed, png, write_page
from fer_lightning.report.style import RUN_COLORS, STYLE, save, share_axis
from fer_lightning.report.verdict import NEAR
from fer_lightning.use.judgement import FOLDS, Judgement
from fer_lightning.words import percent

EXAMPLES = 24  # pictures of a class on the page
FIRST = 1000  # labels whose precision is shown; fewer where fewer are wrong
COLUMNS = ("file", "label", "believed", "certainty", "label_vote", "twins", "contradictory_twins", "trained_on")


def write_labels(folder: Path, run: str, judgement: Judgement, audit: Audit) -> None:
    """Write corrections.csv, labels.html with the run's name and, if the wrong labels are known, figures/labels.png."""
    faces = audit.faces
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(folder / "corrections.csv", COLUMNS, corrections(judgement, audit))
    wrong, truth = known_wrong(judgement, faces), None
    if wrong is not None:
        figure = embed(save(curve(wrong), folder / "figures" / "labels.png"))
        truth = {**worth(judgement, wrong), "known": known_by(faces), "figure": figure}
    write_page(
        folder / "labels.html",
        "labels.html",
        title="Labels",
        run=run,
        data=faces.source,
        folds=FOLDS,
        classes=faces.classes,
        table=per_class(judgement, faces),
        doubts=by_training(judgement),
        contradictory=contradictory(judgement, audit),
        truth=truth,
        sections=[*least_believable(judgement, faces), contradictions(audit)],
    )


def too_weak(judgement: Judgement, classes: Sequence[str]) -> str:
    """Return why a network near chance must doubt no label; empty for a better one.

    Near: it believes fewer labels than the largest class has, and NEAR and two standard errors more.
    """
    number, counts = len(judgement.labels), np.bincount(judgement.labels, minlength=len(classes))
    share, believed = counts.max() / number, 1 - judgement.doubted.mean()
    error = np.sqrt(share * (1 - share) / number)
    if believed >= share + max(NEAR, 2 * error):
        return ""
    return (
        f"its network is near chance: it believes {percent(believed)} of the {number:,} labels of the training folder, "
        f"where always answering {classes[int(counts.argmax())]} has {percent(share)}. It cannot judge labels: "
        "nothing was listed. Give a run that trained longer"
    )


def summary(judgement: Judgement, audit: Audit) -> list[str]:
    """Return the lines for the console."""
    classes = [f"{row['name']} {row['doubted']:,} of {row['faces']:,}" for row in per_class(judgement, audit.faces)]
    shares = [
        f"{number:,} of {size:,} {name} ({percent(number / size)})"
        for name, (number, size) in by_training(judgement).items()
        if size
    ]
    twins, doubted_twins = contradictory(judgement, audit)
    lines = [
        f"doubted labels of the training folder: {', '.join(classes)}",
        f"doubted: {'; '.join(shares)}. A network believes more of what it was trained on, right or wrong",
        f"faces with a twin under another label: {twins:,}, {doubted_twins:,} of them doubted",
    ]
    wrong = known_wrong(judgement, audit.faces)
    if wrong is not None:
        values = worth(judgement, wrong)
        lines.append(
            f"{values['wrong']:,} labels are {known_by(audit.faces)}: {percent(values['precision'])} of the first "
            f"{values['first']:,}, {percent(values['doubted'])} of all doubted labels (of a random list "
            f"{percent(values['chance'])}); the doubted are {percent(values['recall'])} of the wrong ones"
        )
    return lines


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


def by_training(judgement: Judgement) -> dict[str, tuple[int, int]]:
    """Return the doubted labels and all faces, for the faces that trained the network and for the others."""
    doubted, trained_on = judgement.doubted, judgement.trained_on
    return {
        "of faces that trained the network": (int((doubted & trained_on).sum()), int(trained_on.sum())),
        "of other faces": (int((doubted & ~trained_on).sum()), int((~trained_on).sum())),
    }


def contradictory(judgement: Judgement, audit: Audit) -> tuple[int, int]:
    """Return the number of training faces with a twin under another label, and how many of them are doubted."""
    twins = audit.contradictory(audit.twins.groups)[judgement.rows]
    return int(twins.sum()), int((twins & judgement.doubted).sum())


def known_wrong(judgement: Judgement, faces: Faces) -> np.ndarray | None:
    """Return (M,) bool, whether each label is wrong, by the truth or by people; None if unknown, or none is wrong."""
    if faces.true_labels is not None:
        wrong = faces.true_labels[judgement.rows] != judgement.labels
    elif faces.crowd is not None:
        wrong = contradicts(faces.crowd[judgement.rows], judgement.labels)
    else:
        return None
    return wrong if wrong.any() else None


def known_by(faces: Faces) -> str:
    """Return how it is known that a label is wrong, as the end of a sentence."""
    return "known to be wrong" if faces.true_labels is not None else "wrong by people's most frequent answer"


def worth(judgement: Judgement, wrong: np.ndarray) -> dict[str, float]:
    """Return the number of wrong labels, and what the beginning of the list and all doubted labels hold of them."""
    number, doubted = int(wrong.sum()), judgement.doubted
    first = min(number, FIRST)
    return {
        "wrong": number,
        "first": first,
        "precision": float(wrong[:first].mean()),
        "doubted": float(wrong[doubted].mean()),
        "recall": float(wrong[doubted].sum() / number),
        "chance": float(wrong.mean()),
    }


def precision_recall(wrong: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return precision (M,) and recall (M,) of the first 1, 2, ... M labels, of which one at least is wrong (M,)."""
    hits = np.cumsum(wrong)
    return hits / np.arange(1, len(wrong) + 1), hits / hits[-1]


def curve(wrong: np.ndarray) -> Figure:
    """Return a plot of precision against recall, with a dot at the precision that is shown."""
    precision, recall = precision_recall(wrong)
    number = min(int(wrong.sum()), FIRST)
    x, y = recall[number - 1], precision[number - 1]
    with rc_context(STYLE):
        figure = Figure(figsize=(4.6, 3.4), layout="constrained")
        axes = figure.add_subplot()
        axes.plot(recall, precision, color=RUN_COLORS[0])
        axes.plot(x, y, "o", color=RUN_COLORS[1])
        text = f"first {number:,}: {percent(y)}"
        axes.annotate(text, (x, y), xytext=(-6, -14), textcoords="offset points", ha="right")
        axes.axhline(wrong.mean(), color="#7F7F7F", linestyle=":", linewidth=1)
        axes.set(xlabel="wrong labels that the list holds", ylabel="wrong labels in the list", ylim=(0, 1.02))
        for axis in (axes.xaxis, axes.yaxis):
            share_axis(axis)
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
    row = judgement.rows[position]
    label, believed = faces.classes[judgement.labels[position]], faces.classes[judgement.believed[position]]
    votes = percent(judgement.label_votes[position], 0), percent(judgement.believed_votes[position], 0)
    return {
        "png": png(faces.images[row]),
        "title": f"{label} {votes[0]}, {believed} {votes[1]}",
        "name": str(faces.names[row]).rsplit("/", 1)[-1],
    }
