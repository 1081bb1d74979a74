"""Accuracies to compare a score with: always the largest class, people, published networks, the labels' limit."""

import json
from collections.abc import Mapping
from typing import Any, NamedTuple

from fer_lightning.data.published import BEST_PUBLISHED
from fer_lightning.report.statistics import confusion_of, standard_error
from fer_lightning.runs.record import ALL, Run

NEAR = 0.05  # accuracy above "always the largest class"; below it no run is called better than another
MEASURED = "test/crowd_gives_label"  # figure of a run whose faces have votes of people


class Yardstick(NamedTuple):
    """An accuracy with a name."""

    name: str
    accuracy: float


FER2013 = (
    Yardstick("people", 0.65),  # plus or minus 5 points: I. Goodfellow et al., arXiv:1307.0414
    Yardstick("one network, published", 0.72),  # at 48 pixels; other faces chose the checkpoint
    Yardstick("ensemble, published", BEST_PUBLISHED),
)


def yardsticks(run: Run) -> list[Yardstick]:
    """Return the accuracies to compare a tested run with: the largest class first, the highest last."""
    name, share = majority(run)
    audit = audit_of(run)
    references = [Yardstick(f"always {name}", share)]
    if of_fer2013(audit):
        people, *networks = FER2013
        references += [people._replace(accuracy=run.figures.get(MEASURED, people.accuracy)), *networks]
    if (audit.get("labels_allow") or 1) < ALL:
        references.append(Yardstick("the labels allow", audit["labels_allow"]))
    return references


def near_chance(accuracy: float, faces: int, share: float) -> bool:
    """Return whether an accuracy on some faces is near the share of the largest class, or above it by chance alone."""
    return accuracy < share + max(NEAR, 2 * standard_error(share, faces))


def of_fer2013(audit: Mapping[str, Any]) -> bool:
    """Return whether the audited faces have the same number per class and folder as a published FER2013 archive."""
    return bool(audit.get("published")) and audit["counts"] == audit["published_counts"]


def audit_of(run: Run) -> dict[str, Any]:
    """Return the content of a run's audit.json; empty without the file."""
    path = run.folder / "audit.json"
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def majority(run: Run) -> tuple[str, float]:
    """Return the most frequent label of the test faces and its share, the accuracy of always answering it."""
    true = confusion_of(run).sum(axis=1)
    return run.classes[true.argmax()], float(true.max() / true.sum())
