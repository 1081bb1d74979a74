"""Compare two runs on the same test faces: python -m fer_lightning.compare RUN RUN."""

import argparse
import csv
import sys
from pathlib import Path

import numpy as np

from fer_lightning.errors import UserError
from fer_lightning.statistics import compare


def read_predictions(run: Path) -> dict[str, dict[str, str]]:
    """Return the rows of a run's predictions.csv by file.

    Raises:
        UserError: If the run has none.
    """
    path = run if run.suffix == ".csv" else run / "predictions.csv"
    if not path.is_file():
        raise UserError(f"{path} does not exist: give the folder of a run that has been tested")
    with path.open(newline="", encoding="utf-8") as file:
        rows = {row["file"]: row for row in csv.DictReader(file)}
    if not rows or not {"label", "prediction", "twins"} <= set(next(iter(rows.values()))):
        raise UserError(f"{path} holds no predictions: run eval.py on the run's checkpoint to write them")
    return rows


def compare_runs(one: Path, other: Path) -> str:
    """Return what two runs differ by, for people.

    Raises:
        UserError: If a run has no predictions, or the two do not report on the same faces and labels.
    """
    first, second = read_predictions(one), read_predictions(other)
    differing = first.keys() ^ second.keys()
    if differing or any(first[file]["label"] != second[file]["label"] for file in first):
        raise UserError(
            f"{one} and {other} cannot be compared: they report on different faces or labels ({len(differing):,} files "
            "in one only); use runs of the same data.root, protocol and fold"
        )
    right = [np.array([run[file]["label"] == run[file]["prediction"] for file in first]) for run in (first, second)]
    groups = np.array([int(row["twins"]) for row in first.values()])
    result = compare(*right, groups)
    if result["p"] < 0.05 and result["low"] * result["high"] > 0:
        verdict = f"{one if result['difference'] > 0 else other} is better on these faces"
    else:
        verdict = "these faces do not tell them apart"
    return "\n".join(
        [
            f"{len(first):,} test faces",
            *(f"test/accuracy {hits.mean():.2%}  {run}" for hits, run in zip(right, (one, other), strict=True)),
            f"difference {100 * result['difference']:+.2f} points, 95 % interval {100 * result['low']:+.2f} to "
            f"{100 * result['high']:+.2f} (paired bootstrap)",
            f"{result['only_first']:,} faces only the first has right, {result['only_second']:,} only the second; "
            f"McNemar's exact test p = {result['p']:.2g}",
            f"{verdict}; the spread over seeds is not in this test",
        ]
    )


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m fer_lightning.compare", description=__doc__)
    parser.add_argument("runs", nargs=2, type=Path, metavar="RUN", help="folder of a run, or its predictions.csv")
    arguments = parser.parse_args()
    try:
        print(compare_runs(*arguments.runs))
    except UserError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
