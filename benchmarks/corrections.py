"""Train again with the most doubted labels of a run corrected, or left out, and print what that brings.

    python benchmarks/corrections.py RUN fer2013new.csv FOLDER OPTIONS

OPTIONS are those of train.py that RUN was trained with. FOLDER gets the corrections and the trainings; one that is
there and complete is not repeated. All runs report on the same test faces, whose labels stay. They are judged by these
and, where people have one answer, by people.
"""

import csv
import subprocess
import sys
from pathlib import Path

import numpy as np
from omegaconf import OmegaConf

from fer_lightning.config.instantiation import instantiate
from fer_lightning.data.corrections import read_corrections
from fer_lightning.data.crowd import TIE, answers
from fer_lightning.report.statistics import compare
from fer_lightning.runs.record import read_record, read_run

ROOT = Path(__file__).parents[1]
NUMBERS = 500, 1000, 2000


def write_corrections(doubted: list[dict[str, str]], number: int, path: Path, left_out: bool) -> None:
    """Write the first so many corrections, each with an empty new label if the face is to be left out."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, doubted[0])
        writer.writeheader()
        writer.writerows(row | {"believed": ""} if left_out else row for row in doubted[:number])


def trainings(run: Path, folder: Path, options: list[str]) -> dict[tuple[int, str], Path]:
    """Train what is missing in a folder; return the folders of the runs by number of labels and change."""
    if not (folder / "corrections.csv").exists():
        command = [sys.executable, "-m", "fer_lightning", "labels", run, f"output={folder}"]
        subprocess.run(command, cwd=ROOT, check=True)
    with (folder / "corrections.csv").open(newline="", encoding="utf-8") as file:
        doubted = list(csv.DictReader(file))
    runs = {(0, "as they are"): run}
    for number in NUMBERS:
        for change in ("corrected", "left out"):
            output = folder / f"{change.replace(' ', '_')}_{number}"
            if "test/accuracy" not in read_record(output).figures:
                write_corrections(doubted, number, path := output.with_suffix(".csv"), change == "left out")
                command = [sys.executable, "train.py", *options, f"data.corrections={path}", f"hydra.run.dir={output}"]
                subprocess.run(command, cwd=ROOT, check=True)
            runs[number, change] = output
    return runs


def main(run: Path, votes: str, folder: Path, options: list[str]) -> None:
    """Print the accuracy of each run by labels and by people, and its difference from the first."""
    runs = trainings(run, folder, options)
    datamodule = instantiate(OmegaConf.load(run / "config.yaml").data, crowd=votes)
    faces, rows = datamodule.faces, datamodule.partition.test
    names, labels = faces.names[rows].tolist(), faces.labels[rows]
    crowd, twins = answers(faces.crowd[rows]), datamodule.audit.twins.groups[rows]
    listed = read_corrections(str(folder / "corrections.csv")).faces
    training = np.isin(listed, faces.names[datamodule.partition.train])
    print("| labels | in training | by the labels | difference | by people | difference |")
    print("|---|---|---|---|---|---|")
    first: dict[str, np.ndarray] = {}
    for (number, change), output in runs.items():
        columns = read_run(output).predictions
        predictions = dict(zip(columns["file"], columns["prediction"], strict=True))
        predicted = np.array([faces.classes.index(predictions[name]) for name in names])
        cells = [f"{number:,} {change}" if number else change, f"{training[:number].sum():,}"]
        for judge, truth in {"labels": labels, "people": crowd}.items():
            judged = truth != TIE
            right = (predicted == truth)[judged]
            cells.append(f"{100 * right.mean():.2f} %")
            result = compare(right, first.setdefault(judge, right), twins[judged])
            cells.append(f"{100 * result.difference:+.2f} ({100 * result.low:+.2f} to {100 * result.high:+.2f})")
        print(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), str(Path(sys.argv[2]).resolve()), Path(sys.argv[3]).resolve(), sys.argv[4:])
