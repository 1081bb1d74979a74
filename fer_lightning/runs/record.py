"""What runs left on disk, read back: the one source of tables, reports and diagnoses."""

import csv
import hashlib
import json
from collections import defaultdict
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path
from typing import Any

import numpy as np
from omegaconf import OmegaConf

from fer_lightning.data.faces import CLASSES
from fer_lightning.errors import UserError

ASIDE = "superseded"  # folder of a sweep for what its jobs left before they started anew
REPEATED = ("seed=", "protocol.fold=")  # overrides in which repetitions of one experiment differ


@dataclass(frozen=True)
class Run:
    """One run's folder.

    Attributes:
        folder: Where it lies.
        metrics: Content of metrics.json.
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
    def repetition(self) -> str:
        """The seed and the fold that tell it from the other runs of its experiment."""
        return " ".join(sorted(override for override in self.overrides if override.lstrip("+").startswith(REPEATED)))

    @cached_property
    def history(self) -> dict[str, tuple[np.ndarray, np.ndarray]]:
        """Steps and values of every metric in metrics.csv, as they were logged; empty without the file."""
        found = defaultdict(list)
        path = self.folder / "metrics.csv"
        if path.is_file():
            with path.open(newline="", encoding="utf-8") as file:
                for row in csv.DictReader(file):
                    for name, value in row.items():
                        if value and name not in ("step", "epoch") and row.get("step"):
                            found[name].append((int(row["step"]), float(value)))
        return {name: tuple(map(np.array, zip(*points, strict=True))) for name, points in found.items()}

    @cached_property
    def predictions(self) -> list[dict[str, str]]:
        """Rows of predictions.csv; empty without the file."""
        path = self.folder / "predictions.csv"
        if not path.is_file():
            return []
        with path.open(newline="", encoding="utf-8") as file:
            return list(csv.DictReader(file))

    @cached_property
    def confusion(self) -> np.ndarray:
        """Counts (C, C), rows true and columns predicted."""
        counts = np.zeros((len(CLASSES), len(CLASSES)))
        for row in self.predictions:
            counts[CLASSES.index(row["label"]), CLASSES.index(row["prediction"])] += 1
        return counts


def read_run(folder: Path) -> Run:
    """Return one run.

    Raises:
        UserError: If the folder holds none, or its metrics.json is damaged.
    """
    path = folder / "metrics.json"
    try:
        return Run(folder, json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        raise UserError(f"{folder} holds no run that has ended: {path} is missing") from None
    except ValueError as error:
        raise UserError(f"{path} is damaged ({error}): run the job again") from error


def read_runs(folder: Path) -> list[Run]:
    """Return every run in or below a folder, by path.

    Raises:
        UserError: If there is none.
    """
    found = (path.parent for path in sorted(folder.rglob("metrics.json")))
    runs = [read_run(place) for place in found if place.parent.name != ASIDE]
    if not runs:
        raise UserError(f"{folder} holds no run that has ended: give the folder of a run or of a sweep")
    return runs


@cache
def code_fingerprint() -> str:
    """Return a hash of the code and of ``conf/``: while it is equal, equal options mean equal trainings."""
    root = Path(__file__).parents[2]
    found = hashlib.sha256()
    for path in sorted([*root.glob("fer_lightning/**/*.py"), *root.glob("conf/**/*.yaml"), root / "train.py"]):
        found.update(f"{path.relative_to(root).as_posix()} {path.stat().st_size}\n".encode() + path.read_bytes())
    return found.hexdigest()
