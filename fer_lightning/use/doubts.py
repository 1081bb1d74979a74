"""Labels that a run does not believe: labels.csv, labels.html, and a figure where the wrong ones are known."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from matplotlib import rc_context
from matplotlib.figure import Figure

from fer_lightning.data.audit import Audit
from fer_lightning.data.faces import Faces
from fer_lightning.files import write_csv
from fer_lightning.report.audit import contradictions
from fer_lightning.report.html import embed, png, write_page
from fer_lightning.report.style import RUN_COLORS, STYLE, save, share_axis
from fer_lightning.use.judgement import FOLDS, Judgement
from fer_lightning.words import percent

SHOWN = 24  # pictures of a class on the page
COLUMNS = [
    "file",
    "split",
    "label",
    "believed",
    "own_vote",
    "believed_vote",
    "twins",
    "contradictory_twins",
    "trained_on",
]


def write_labels(folder: Path, name: str, judgement: Judgement, audit: Audit) -> None:
    """Write labels.csv, labels.html and, where the wrong labels are known, figures/labels.png.

    Args:
        folder: Where to.
        name: The run's, for the heading.
        judgement: What is thought of each label.
        audit: Audit of the same faces.
    """
    faces = audit.faces
    folder.mkdir(parents=True, exist_ok=True)
    write_csv(folder / "labels.csv", COLUMNS, list_rows(judgement, audit))
    wrong = known_wrong(judgement, faces)
    truth = None
    if wrong is not None:
        precision = precision_recall(wrong)[0]
        number = int(wrong.sum())
        figure = embed(save(curve(wrong), folder / "figures" / "labels.png"))
        truth = {"number": number, "precision": precision[number - 1], "figure": figure}
    write_page(
        folder / "labels.html",
        "labels.html",
        title="Labels",
        run=name,
        data=faces.source,
        folds=FOLDS,
        classes=faces.classes,
        table=per_class(judgement, faces),
        doubts=doubts(judgement, faces),
        contradictory=contradictory(judgement, audit),
        truth=truth,
        sections=[*least_believable(judgement, audit), contradictions(audit)],
    )


def summary(judgement: Judgement, audit: Audit) -> list[str]:
    """Return what the console says of the list."""
    faces = audit.faces
    counts = [f"{row['name']} {row['doubted']:,} of {row['faces']:,}" for row in per_class(judgement, faces)]
    shares = [
        f"{number:,} of {size:,} {name} ({percent(number / size)})"
        for name, (number, size) in doubts(judgement, faces).items()
        if size
    ]
    lines = [
        f"doubted labels of the training folder: {', '.join(counts)}",
        f"doubted: {'; '.join(shares)}. A network believes more of what it was trained on, right or wrong",
        "faces with a twin under another label: {:,}, {:,} of them doubted".format(*contradictory(judgement, audit)),
    ]
    wrong = known_wrong(judgement, faces)
    if wrong is not None:
        number = int(wrong.sum())
        right = percent(wrong[:number].mean())
        lines.append(f"{number:,} labels are known to be wrong: {right} of the first {number:,}")
    return lines


def list_rows(judgement: Judgement, audit: Audit) -> Iterator[list[object]]:
    """Yield a row of labels.csv for each face, the least believable first."""
    faces, groups = audit.faces, audit.twins.groups
    contradictory = audit.contradictory(groups)
    for place, row in enumerate(judgement.rows):
        yield [
            faces.names[row],
            faces.splits[row],
            faces.classes[faces.labels[row]],
            faces.classes[judgement.believed[place]],
            f"{judgement.own[place]:.6f}",
            f"{judgement.other[place]:.6f}",
            groups[row],
            int(contradictory[row]),
            int(judgement.trained_on[place]),
        ]


def per_class(judgement: Judgement, faces: Faces) -> list[dict]:
    """Return for each class its number of ``faces``, how many labels are ``doubted``, and what for."""
    labels = faces.labels[judgement.rows]
    doubted = judgement.believed != labels
    found = []
    for label, name in enumerate(faces.classes):
        own = labels == label
        rather = np.bincount(judgement.believed[own & doubted], minlength=len(faces.classes))
        found.append(
            {
                "name": name,
                "faces": int(own.sum()),
                "doubted": int((own & doubted).sum()),
                "rather": [int(number) for number in rather],
            }
        )
    return found


def precision_recall(wrong: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return precision (M,) and recall (M,) of the first 1, 2, ... M faces of a list.

    Args:
        wrong: (M,) bool, whether the label is known to be wrong, in the list's order; one at least.
    """
    hits = np.cumsum(wrong)
    return hits / np.arange(1, len(wrong) + 1), hits / hits[-1]


def known_wrong(judgement: Judgement, faces: Faces) -> np.ndarray | None:
    """Return (M,) bool, whether each label is wrong, or None where nobody knows or none is."""
    if faces.true_labels is None:
        return None
    wrong = faces.true_labels[judgement.rows] != faces.labels[judgement.rows]
    return wrong if wrong.any() else None


def curve(wrong: np.ndarray) -> Figure:
    """Return precision against recall of a list, with a mark where it is as long as there are wrong labels."""
    precision, recall = precision_recall(wrong)
    number = int(wrong.sum())
    with rc_context(STYLE):
        figure = Figure(figsize=(4.6, 3.4), layout="constrained")
        axes = figure.add_subplot()
        axes.plot(recall, precision, color=RUN_COLORS[0])
        axes.plot(recall[number - 1], precision[number - 1], "o", color=RUN_COLORS[1])
        axes.annotate(
            f"first {number:,}: {percent(precision[number - 1])}",
            (recall[number - 1], precision[number - 1]),
            xytext=(-6, -14),
            textcoords="offset points",
            ha="right",
        )
        axes.axhline(wrong.mean(), color="#7F7F7F", linestyle=":", linewidth=1)
        axes.set(xlabel="wrong labels that the list holds", ylabel="wrong labels in the list", ylim=(0, 1.02))
        for axis in (axes.xaxis, axes.yaxis):
            share_axis(axis)
    return figure


def doubts(judgement: Judgement, faces: Faces) -> dict[str, tuple[int, int]]:
    """Return the number of doubted labels and of faces among those that trained the network, and among the others."""
    doubted = judgement.believed != faces.labels[judgement.rows]
    seen = judgement.trained_on
    return {
        "of faces that trained the network": (int((doubted & seen).sum()), int(seen.sum())),
        "of other faces": (int((doubted & ~seen).sum()), int((~seen).sum())),
    }


def contradictory(judgement: Judgement, audit: Audit) -> tuple[int, int]:
    """Return how many training faces have a twin under another label, and how many of them are doubted."""
    found = audit.contradictory(audit.twins.groups)[judgement.rows]
    doubted = judgement.believed != audit.faces.labels[judgement.rows]
    return int(found.sum()), int((found & doubted).sum())


def least_believable(judgement: Judgement, audit: Audit) -> Iterator[dict]:
    """Yield a section of the page for each class: its least believable labels, if they are doubted."""
    faces = audit.faces
    labels = faces.labels[judgement.rows]
    for label, name in enumerate(faces.classes):
        places = np.flatnonzero((labels == label) & (judgement.believed != label))
        shown = [_face(judgement, faces, place) for place in places[:SHOWN]]
        yield {
            "title": f"Labelled {name}",
            "text": f"{len(places):,} labels are doubted; the {len(shown)} least believable, worst first: share of the "
            "vote for the label, then for the class that is believed.",
            "groups": [shown] if shown else [],
        }


def _face(judgement: Judgement, faces: Faces, place: int) -> dict[str, str]:
    """Return what the page shows of a face."""
    row = judgement.rows[place]
    own, other = judgement.own[place], judgement.other[place]
    label, believed = faces.classes[faces.labels[row]], faces.classes[judgement.believed[place]]
    return {
        "png": png(faces.images[row]),
        "title": f"{label} {percent(own, 0)}, {believed} {percent(other, 0)}",
        "name": str(faces.names[row]).rsplit("/", 1)[-1],
    }
