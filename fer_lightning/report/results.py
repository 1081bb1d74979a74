"""Results of a test: its figures, and metrics.json, predictions.csv, slices.csv and audit.json in a run's folder."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np

from fer_lightning import __version__
from fer_lightning.data.crowd import TIE, agreement, answers, crowd_figures
from fer_lightning.data.datamodule import FacesDataModule
from fer_lightning.data.published import ceiling
from fer_lightning.files import write_csv, write_json
from fer_lightning.models.calibration import Calibration
from fer_lightning.report.slices import columns_of, measure, write_slices
from fer_lightning.report.statistics import certainty_figures, intervals, one_vs_rest, with_the_mix_of_all
from fer_lightning.report.tables import print_score
from fer_lightning.runs.record import Record, code_fingerprint, write_record
from fer_lightning.words import percent

COLUMNS = ("file", "label", "prediction", "vote", "raw_vote", "abstained", "twins", "twin_in_training")


class Tested(NamedTuple):
    """Predictions for B test faces; votes are None where they are not known."""

    rows: np.ndarray  # (B,) int64, rows of the partition's table
    labels: np.ndarray  # (B,) int64
    predictions: np.ndarray  # (B,) int64
    votes: np.ndarray | None  # (B,) float, calibrated votes for the predictions
    raw_votes: np.ndarray | None  # (B,) float, their shares of the vote
    abstained: np.ndarray  # (B,) int64, 1 where the network abstains
    absent: Sequence[str] = ()  # names of classes that no test face has; means leave them out
    shares: np.ndarray | None = None  # (B, C) float, calibrated votes for each class


def test_figures(datamodule: FacesDataModule, tested: Tested, calibration: Calibration) -> dict[str, float]:
    """Return the intervals of the headline metrics, the accuracies by twins, figures of certainty and of people."""
    partition, classes = datamodule.partition, datamodule.faces.classes
    rows, labels, predictions = tested[:3]
    present = ~np.isin(classes, tested.absent)
    bounds = intervals(labels, predictions, partition.groups[rows], len(classes), counted=present)
    figures = {
        f"test/{name}_{end}": bound
        for name, pair in bounds.items()
        for end, bound in zip(("low", "high"), pair, strict=True)
    }
    right = labels == predictions
    figures["test/one_vs_rest_accuracy"] = one_vs_rest(float(right.mean()), len(classes))
    if partition.measurable:
        leaked = partition.leaked(rows)
        figures["test/faces_without_twins"] = float((~leaked).sum())
        for name, part in (("without", ~leaked), ("with", leaked)):
            if part.any():
                figures[f"test/accuracy_{name}_twins"] = float(right[part].mean())
            if leaked.any() and not leaked.all():
                figures[f"test/accuracy_{name}_twins_same_mix"] = with_the_mix_of_all(right, labels, part)
    if tested.votes is not None and tested.raw_votes is not None:
        figures |= certainty_figures(right, tested.votes, tested.raw_votes, tested.abstained, calibration)
    if partition.faces.crowd is not None:
        compared = crowd_figures(partition.faces.crowd[rows], labels, predictions, tested.shares)
        figures |= {f"test/{name}": figure for name, figure in compared.items()}
    return figures


def write_results(folder: Path, record: Record, datamodule: FacesDataModule, tested: Tested) -> Record:
    """Write all files of a test, print the scores, and return the completed record."""
    faces, partition, audit = datamodule.faces, datamodule.partition, datamodule.audit
    rows, labels, predictions = tested[:3]
    record = replace(
        record,
        data=faces.source,
        classes=list(faces.classes),
        data_fingerprint=faces.fingerprint,
        labels_allow=faces.best_possible,
        protocol=partition.protocol,
        proves=partition.proves,
        trained_on=partition.trained_on,
        leaks=partition.verdict(),
        train_faces=len(partition.train) or None,
        test_faces=len(rows),
        unscored=len(partition.test) - len(rows) or None,
        split=faces.split,
        persons=audit.persons,
        left_out=partition.left_out,
        left_out_test=partition.left_out_test or None,
        corrections=str(partition.corrected) if partition.corrected else None,
        version=__version__,
        code=code_fingerprint(),
    )
    alarm = too_good(record, *ceiling(faces, partition.twins.identical[partition.origins[rows]], labels))
    record = replace(record, too_good=". ".join(filter(None, (record.too_good, alarm))) or None)
    folder.mkdir(parents=True, exist_ok=True)
    write_record(folder, record)
    write_json(folder / "audit.json", audit.report())
    if faces.unreadable:
        write_csv(folder / "bad_images.csv", ["file", "reason"], faces.unreadable)
    groups = partition.groups[rows]
    slices = measure(columns_of(partition, rows, datamodule.descriptions), labels == predictions, groups)
    write_slices(folder, slices)
    nothing = np.full(len(rows), "")
    votes, raw = (
        nothing if column is None else [f"{vote:.6f}" for vote in column] for column in (tested.votes, tested.raw_votes)
    )
    names = (partition.faces.names[rows], *(np.array(faces.classes)[column] for column in (labels, predictions)))
    in_training = partition.leaked(rows).astype(int) if partition.measurable else nothing
    table = dict(zip(COLUMNS, (*names, votes, raw, tested.abstained, groups, in_training), strict=True))
    if partition.faces.crowd is not None:
        table |= _crowd_columns(partition.faces.crowd[rows], faces.classes)
    write_csv(folder / "predictions.csv", list(table), zip(*table.values(), strict=True))
    print_score(record, labels, faces.classes, slices)
    return record


def too_good(record: Record, limit: float, reason: str) -> str:
    """Return why a score above the highest credible accuracy cannot be honest; empty for a score below it."""
    if record.figures["test/accuracy_low"] <= limit or record.unscored:  # a part of the faces may be easy
        return ""
    nothing = "Whether it leaks is unknown" if record.leaks is None else "Nothing was found that leaks; keep looking"
    return (
        f"test/accuracy {percent(record.figures['test/accuracy'])} lies above the {percent(limit)} that can be "
        f"believed here ({reason}): it cannot be honest. {record.leaks or nothing}"
    )


def _crowd_columns(crowd: np.ndarray, classes: Sequence[str]) -> dict[str, Iterable[object]]:
    """Return two columns: the crowd's answer to each face, "other" for what is no class; how many agree on it."""
    names = np.array([*classes, "other", ""])  # the last for a tie, which is -1
    given = answers(crowd)
    return {
        "crowd": names[np.where(given == TIE, TIE, np.minimum(given, len(classes)))],
        "agreement": [f"{share:.4f}" for share in agreement(crowd)],
    }
