"""Two runs compared on the same test faces."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from fer_lightning.config.verbs import verb
from fer_lightning.errors import UserError
from fer_lightning.report.statistics import compare
from fer_lightning.runs.record import Run
from fer_lightning.words import percent, points


def compare_runs(one: Run, other: Run) -> dict[str, Any]:
    """Return what ``statistics.compare`` says of two runs, with the ``accuracies`` of both and the number of ``faces``.

    Raises:
        UserError: If a run has no predictions, or the two do not report on the same faces and labels.
    """
    for run in (one, other):
        if not run.predictions or "twins" not in run.predictions[0]:
            raise UserError(f"{run.folder}/predictions.csv is missing: score the run's checkpoint with eval.py first")
    first, second = ({row["file"]: row for row in run.predictions} for run in (one, other))
    differing = first.keys() ^ second.keys()
    if differing or any(first[file]["label"] != second[file]["label"] for file in first):
        raise UserError(
            f"{one.folder} and {other.folder} cannot be compared: they report on different faces or labels "
            f"({len(differing):,} files in one only); use runs of the same data.root, protocol and fold"
        )
    one_right, other_right = (
        np.array([run[file]["label"] == run[file]["prediction"] for file in first]) for run in (first, second)
    )
    groups = np.array([int(row["twins"]) for row in first.values()])
    return {
        **compare(one_right, other_right, groups),
        "accuracies": [float(one_right.mean()), float(other_right.mean())],
        "faces": len(first),
    }


def differs(result: Mapping[str, Any]) -> bool:
    """Return whether the faces tell the two runs apart, by the interval and by the test."""
    return result["p"] < 0.05 and result["low"] * result["high"] > 0


def in_words(result: Mapping[str, Any]) -> str:
    """Return the comparison as one clause."""
    return (
        f"{points(result['difference'])} points (95 % interval {points(result['low'])} to {points(result['high'])}, "
        f"McNemar's exact test p = {result['p']:.2g})"
    )


@verb(
    "compare",
    "compare two runs on the same test faces",
    {"folders": {"nargs": 2, "metavar": "RUN", "help": "folder of a run"}},
)
def print_comparison(folders: Sequence[Path]) -> None:
    """Print how two runs differ.

    Args:
        folders: Folders of the two runs.

    Raises:
        UserError: If they cannot be compared.
    """
    one, other = (Run(folder) for folder in folders)
    result = compare_runs(one, other)
    better = one if result["difference"] > 0 else other
    verdict = f"{better.folder} is better on these faces" if differs(result) else "these faces do not tell them apart"
    print(f"{result['faces']:,} test faces")
    for run, accuracy in zip((one, other), result["accuracies"], strict=True):
        print(f"test accuracy {percent(accuracy)}  {run.folder}")
    print(f"difference {in_words(result)}")
    print(f"{result['only_first']:,} faces only the first has right, {result['only_second']:,} only the second")
    print(f"{verdict}; the spread over seeds is not in this test")
