"""Runs made up to have an answer."""

import csv
import json

import pytest

from fer_lightning.data.faces import CLASSES
from fer_lightning.report.ranking import Board, rank_runs
from fer_lightning.runs.record import read_runs

FACES = 700


@pytest.fixture
def make(tmp_path):
    """Make the folder of a run that has so many of 700 faces right; an even share of each class."""

    def make(name, overrides, right=0, val=None, **metrics):
        folder = tmp_path / name
        (folder / ".hydra").mkdir(parents=True)
        (folder / ".hydra/overrides.yaml").write_text("".join(f"- {override}\n" for override in overrides))
        noted = {"status": "completed", "overrides": " ".join(overrides), "objective": "val/accuracy", "leaks": ""}
        noted |= metrics
        if val is not None:
            noted |= {"val/accuracy": val, "test/accuracy": right / FACES, "test_faces": FACES, "proves": "little"}
            noted |= {"test/accuracy_low": right / FACES - 0.03, "test/accuracy_high": right / FACES + 0.03}
            with (folder / "predictions.csv").open("w", newline="") as file:
                writer = csv.writer(file)
                writer.writerow(["file", "label", "prediction", "vote", "twins", "twin_in_training"])
                for face in range(FACES):
                    label, guess = CLASSES[face % 7], CLASSES[(face + (face >= right)) % 7]
                    writer.writerow([f"{face}.png", label, guess, 1, face, 0])
        (folder / "metrics.json").write_text(json.dumps(noted))

    return make


def ranked(folder) -> Board:
    return rank_runs(read_runs(folder), "val/accuracy")
