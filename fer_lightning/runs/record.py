"""Records of runs: metrics.json, which only this module reads and writes, and the other files of a run's folder."""

import csv
import hashlib
import json
import shlex
from collections import defaultdict
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np

from fer_lightning.data.faces import CLASSES
from fer_lightning.errors import UserError
from fer_lightning.files import write_json
from fer_lightning.runs.command import OPTIONS, key, of_training, read_options

NAME = "metrics.json"
ASIDE = "superseded"  # folder of a sweep for the earlier files of jobs that started again
ALL = 0.9995  # a share that reads 100.0 %
REPEATED = ("seed", "protocol.fold")  # options that differ between repetitions of an experiment


class Status(StrEnum):
    """State of a run."""

    RUNNING = "running"  # or killed
    INTERRUPTED = "interrupted"  # by a signal; it can be resumed
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True)
class Record:
    """The content of metrics.json: fields that are neither None nor {}, and figures under their own names."""

    status: Status = Status.RUNNING
    error: str | None = None  # error of a failed run, or signal of an interrupted one
    overrides: str | None = None  # options of the command line or of the sweep, as ``shlex.join`` writes them
    objective: str | None = None  # metric that chose the checkpoint
    figures: dict[str, float] = field(default_factory=dict)  # by metric: stage/name
    settings: dict[str, Any] = field(default_factory=dict)  # optimizer, learning rate and more, for tables of runs
    elapsed_seconds: float | None = None  # of the training, validation included
    weights: str | None = None  # fingerprint of the tested network: ``runs.checkpoints.fingerprint``
    audit_seconds: float | None = None  # of the search for twins, in the run that did it
    environment: dict[str, str] = field(default_factory=dict)  # device, Python and packages
    processes: int | None = None  # of the training
    data: str | None = None  # source of the faces
    data_fingerprint: str | None = None
    classes: list[str] | None = None  # names, in the order of the labels
    protocol: str | None = None
    proves: str | None = None  # what a score under this protocol shows
    trained_on: str | None = None  # source of the training faces, where the test faces are of another data set
    predictions: str | None = None  # csv of a network's predictions that were made elsewhere
    leaks: str | None = None  # why the score is too high; empty if it is not, None if that is not known
    labels_allow: float | None = None  # highest expected accuracy on the labels; None if it is not known
    too_good: str | None = None  # why this score cannot be honest
    train_faces: int | None = None
    test_faces: int | None = None
    unscored: int | None = None  # test faces beyond trainer.limit_test_batches
    split: str | None = None  # options by which the test part was drawn, where the source has no split
    persons: int | None = None  # people shown in the faces, where they are known
    draw: str | None = None  # the part of the faces that a limit of the Trainer left
    validation_faces: int | None = None  # that chose the checkpoint
    left_out: int | None = None  # training faces removed because a copy is in the test set
    left_out_test: int | None = None  # test faces removed because a copy is in the training set
    corrections: str | None = None  # what corrections of labels have done to the training faces
    version: str | None = None  # of fer_lightning
    code: str | None = None  # code_fingerprint()
    more: dict[str, Any] = field(default_factory=dict)  # fields of other versions

    @property
    def label_limit(self) -> float | None:
        """Return the accuracy that the labels allow, or None if it is unknown or rounds to 100 %."""
        return self.labels_allow if (self.labels_allow or 1) < ALL else None

    def content(self) -> dict[str, Any]:
        """Return the content of the file: the figures first, then the fields that are set."""
        values = asdict(self)
        figures, more = values.pop("figures"), values.pop("more")
        return {**figures, **{name: value for name, value in values.items() if value not in (None, {})}, **more}


def read_record(folder: Path) -> Record:
    """Return the record of a run, or an empty record if there is no file; refuse a damaged one."""
    path = folder / NAME
    if not path.is_file():
        return Record()
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        content["status"] = Status(content.get("status", Status.RUNNING))
    except (ValueError, TypeError, AttributeError) as error:
        raise UserError(f"{path} is damaged ({error}): run the job again") from error
    names = {entry.name for entry in fields(Record)} - {"figures", "more"}
    values = {name: content.pop(name) for name in names & content.keys()}
    figures = {name: content.pop(name) for name in list(content) if "/" in name}
    return Record(**values, figures=figures, more=content)


def run_of(checkpoint: str | Path) -> Path:
    """Return the folder of the run that a checkpoint lies in: the parent of its own folder."""
    return Path(checkpoint).absolute().parent.parent


def read_tested(checkpoint: str | Path, weights: str) -> Record:
    """Return the record of a checkpoint's run if the run tested these weights, else an empty record."""
    record = read_record(run_of(checkpoint))
    return record if record.weights == weights else Record()


def write_record(folder: Path, record: Record) -> None:
    """Write metrics.json. To change a record, write ``replace(read_record(folder), status=...)``."""
    write_json(folder / NAME, record.content())


@dataclass(frozen=True)
class Run:
    """One run's folder and its record."""

    folder: Path
    record: Record = field(default_factory=Record)

    @property
    def name(self) -> str:
        """Name of the folder."""
        return self.folder.name

    @cached_property
    def overrides(self) -> list[str]:
        """Return the options of the run, without those of Hydra, of the sweep and of a resumption."""
        if (self.folder / OPTIONS).is_file():
            return of_training(read_options(self.folder))
        return of_training(shlex.split(self.record.overrides or ""))

    @property
    def figures(self) -> dict[str, float]:
        """Figures of the record, by metric."""
        return self.record.figures

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes; by default the seven."""
        return tuple(self.record.classes or CLASSES)

    @property
    def repetition(self) -> tuple[str, str]:
        """Return the seed and the fold, which differ between the runs of an experiment; empty if they are not known."""
        typed = {key(option): option.partition("=")[2] for option in self.overrides}
        return str(self.record.settings.get("seed", typed.get("seed", ""))), typed.get("protocol.fold", "")

    @cached_property
    def history(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Steps and values of every metric in metrics.csv, as they were logged; empty without the file."""
        points = defaultdict(list)
        for row in _rows(self.folder / "metrics.csv"):
            for name, value in row.items():
                if value and name != "step" and row.get("step"):
                    points[name].append((int(row["step"]), float(value)))
        columns = {name: zip(*pairs, strict=True) for name, pairs in points.items()}
        return {name: (np.array(steps), np.array(values)) for name, (steps, values) in columns.items()}

    @cached_property
    def predictions(self) -> dict[str, np.ndarray]:
        """Columns of predictions.csv by name, (B,) str; empty without the file."""
        rows = _rows(self.folder / "predictions.csv")
        return {name: np.array([row[name] for row in rows]) for name in rows[0]} if rows else {}

    @property
    def right(self) -> np.ndarray:
        """Return (B,) bool: whether each test face was classified rightly."""
        return self.predictions["label"] == self.predictions["prediction"]


def read_run(folder: Path) -> Run:
    """Return the run in a folder; refuse a folder without one."""
    if not (folder / NAME).is_file():
        raise UserError(f"{folder} holds no run that has ended: {folder / NAME} is missing")
    return Run(folder, read_record(folder))


def read_runs(folder: Path) -> list[Run]:
    """Return every run in or below a folder, sorted by path; refuse a folder without any."""
    paths = sorted(folder.rglob(NAME))
    runs = [read_run(path.parent) for path in paths if path.parent.parent.name != ASIDE]
    if not runs:
        raise UserError(f"{folder} holds no run that has ended: give the folder of a run or of a sweep")
    return runs


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@cache
def code_fingerprint() -> str:
    """Return a hash of the code that decides a result. Equal hashes and equal settings give equal trainings."""
    package = Path(__file__).parents[1]
    digest = hashlib.sha256()
    for path in sorted(path for room in ("data", "models") for path in (package / room).rglob("*.py")):
        digest.update(f"{path.relative_to(package).as_posix()} {path.stat().st_size}\n".encode() + path.read_bytes())
    return digest.hexdigest()
