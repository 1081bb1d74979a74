"""What a run leaves in its folder: metrics.json, which only this module reads and writes, and the files beside it."""

import csv
import hashlib
import json
from collections import defaultdict
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import OmegaConf

from fer_lightning.data.faces import CLASSES
from fer_lightning.errors import UserError
from fer_lightning.files import write_json

NAME = "metrics.json"
ASIDE = "superseded"  # folder of a sweep for what its jobs left before they started anew
REPEATED = ("seed=", "protocol.fold=")  # overrides in which repetitions of one experiment differ


class Status(StrEnum):
    """Where a run stands."""

    RUNNING = "running"  # or killed, which nobody could write down
    INTERRUPTED = "interrupted"  # by a signal, and can go on
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True)
class Record:
    """The content of metrics.json. What is None is left out of the file; figures stand in it under their names."""

    status: Status = Status.RUNNING
    error: str | None = None  # what ended a run that failed, or the signal that interrupted it
    overrides: str | None = None  # options of the command line or of the sweep, with spaces between them
    objective: str | None = None  # metric that chose the checkpoint
    metrics: dict[str, float] = field(default_factory=dict)  # figures by name: stage/name
    settings: dict[str, Any] | None = None  # what tables of several runs compare by
    elapsed_seconds: float | None = None  # of the training, validation included
    images_per_second: float | None = None  # trained on
    test_seconds: float | None = None  # of an evaluation
    audit_seconds: float | None = None  # of the search for twins, in the run that made it
    environment: dict[str, str] | None = None  # device, Python and packages
    processes: int | None = None  # that trained together
    data: str | None = None  # source of the faces
    data_fingerprint: str | None = None
    classes: list[str] | None = None  # names, in the order of the labels
    protocol: str | None = None
    proves: str | None = None  # what a score under this protocol shows
    leaks: str | None = None  # what makes it too high; empty where nothing does
    labels_allow: float | None = None  # accuracy above which no score can be honest
    too_good: str | None = None  # why this one cannot be believed
    train_faces: int | None = None
    test_faces: int | None = None
    unscored: int | None = None  # test faces that trainer.limit_test_batches has left out
    left_out: int | None = None  # training faces removed because a copy is in the test set
    version: str | None = None  # of fer_lightning
    code: str | None = None  # code_fingerprint()
    more: dict[str, Any] = field(default_factory=dict)  # fields of other versions, kept as they are


def read_record(folder: Path) -> Record:
    """Return what a run has written down so far, the empty record where that is nothing."""
    content = _content(folder) if (folder / NAME).is_file() else {}
    names = {one.name for one in fields(Record)} - {"metrics", "more"}
    known = {name: value for name, value in content.items() if name in names}
    known["status"] = Status(content.get("status", Status.RUNNING))
    metrics = {name: value for name, value in content.items() if "/" in name}
    return Record(**known, metrics=metrics, more={k: v for k, v in content.items() if k not in names | metrics.keys()})


def write_record(folder: Path, record: Record) -> None:
    """Write metrics.json whole: whoever changes a record writes ``replace(read_record(folder), status=...)``."""
    content = asdict(record)
    metrics, more = content.pop("metrics"), content.pop("more")
    write_json(folder / NAME, {**metrics, **{k: v for k, v in content.items() if v is not None}, **more})


@dataclass(frozen=True)
class Run:
    """One run's folder.

    Attributes:
        folder: Where it lies.
        metrics: Content of metrics.json: the fields of ``Record`` and the figures, side by side.
    """

    folder: Path
    metrics: dict[str, Any]

    @property
    def name(self) -> str:
        """The folder's name."""
        return self.folder.name

    @cached_property
    def overrides(self) -> list[str]:
        """What its command line, or its sweep, overrode of the run itself; empty where Hydra left no note of it."""
        path = self.folder / ".hydra" / "overrides.yaml"
        overrides = map(str, OmegaConf.load(path)) if path.is_file() else ()
        return [override for override in overrides if not override.startswith(("hydra.", "sweep."))]

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of its classes; runs that do not say so have the seven."""
        return tuple(self.metrics.get("classes", CLASSES))

    @property
    def repetition(self) -> str:
        """The seed and the fold that tell it from the other runs of its experiment."""
        return " ".join(sorted(override for override in self.overrides if override.lstrip("+").startswith(REPEATED)))

    @cached_property
    def history(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Steps and values of every metric in metrics.csv, as they were logged; empty without the file."""
        found = defaultdict(list)
        for row in _rows(self.folder / "metrics.csv"):
            for name, value in row.items():
                if value and name != "step" and row.get("step"):
                    found[name].append((int(row["step"]), float(value)))
        columns = {name: list(zip(*points, strict=True)) for name, points in found.items()}
        return {name: (np.array(steps), np.array(values)) for name, (steps, values) in columns.items()}

    @cached_property
    def predictions(self) -> list[dict[str, str]]:
        """Rows of predictions.csv; empty without the file."""
        return _rows(self.folder / "predictions.csv")


def read_run(folder: Path) -> Run:
    """Return one run, or refuse a folder that holds none and a metrics.json that is damaged."""
    if not (folder / NAME).is_file():
        raise UserError(f"{folder} holds no run that has ended: {folder / NAME} is missing")
    return Run(folder, _content(folder))


def read_runs(folder: Path) -> list[Run]:
    """Return every run in or below a folder, by path; refuse a folder without one."""
    found = (path.parent for path in sorted(folder.rglob(NAME)))
    runs = [read_run(place) for place in found if place.parent.name != ASIDE]
    if not runs:
        raise UserError(f"{folder} holds no run that has ended: give the folder of a run or of a sweep")
    return runs


def _content(folder: Path) -> dict[str, Any]:
    path = folder / NAME
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}): run the job again") from error


def _rows(path: Path) -> list[dict[str, str]]:
    if not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


@cache
def code_fingerprint() -> str:
    """Return a hash of the code that decides a result: while it is equal, equal settings mean equal trainings."""
    package = Path(__file__).parents[1]
    found = hashlib.sha256()
    for path in sorted(path for room in ("data", "models") for path in (package / room).rglob("*.py")):
        found.update(f"{path.relative_to(package).as_posix()} {path.stat().st_size}\n".encode() + path.read_bytes())
    return found.hexdigest()
