"""All jobs of a sweep as rows: sweep.csv, and the table on the console."""

import csv
import io
import json
from collections import defaultdict
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from filelock import FileLock
from rich.console import Console
from rich.table import Column, Table

from fer_lightning.runs.files import write_text
from fer_lightning.runs.record import REPEATED

MEASURED = (
    "test/accuracy",
    "test/balanced_accuracy",
    "test/macro_f1",
    "test/accuracy_without_twins",
    "test/one_vs_rest_accuracy",
)


def tabulate(folder: Path, objective: str) -> list[dict[str, Any]]:
    """Write ``sweep.csv`` into a sweep's folder and return its rows."""
    with writing(folder):
        jobs = collect(folder, objective)
        rows = [*summarize(jobs, objective), *jobs]
        write_table(folder / "sweep.csv", rows, objective)
    return rows


def writing(folder: Path) -> FileLock:
    """Return the lock under which the files of a sweep are written, by jobs in several processes.

    Whoever reads all jobs before it writes must hold it from before the first is read, else an older table would
    replace a newer one.
    """
    return FileLock(folder / ".writing.lock")


def collect(sweep_dir: Path, objective: str) -> list[dict[str, Any]]:
    """Return one row per job that has begun: best objective first, then leaky ones, then those without a score."""
    rows = [
        {"job": path.parent.name, "runs": 1, "status": "running", "overrides": ""}
        | json.loads(path.read_text(encoding="utf-8"))
        for path in sorted(sweep_dir.glob("*/metrics.json"))
    ]
    return sorted(rows, key=lambda row: _rank(row, objective))


def summarize(jobs: list[dict[str, Any]], objective: str) -> list[dict[str, Any]]:
    """Return one row per experiment that was repeated with other seeds or folds: means, and standard deviations."""
    repeated = defaultdict(list)
    for job in jobs:
        if job["status"] == "completed":
            repeated[experiment(job["overrides"])].append(job)
    rows = []
    for overrides, runs in repeated.items():
        if len(runs) == 1:
            continue
        row = {
            "job": f"mean of {len(runs)} runs: {overrides}",
            "status": "mean",
            "runs": len(runs),
            "overrides": overrides,
            **{name: runs[0].get(name, "") for name in ("data", "protocol", "leaks")},
        }
        for name in (objective, "elapsed_seconds", *MEASURED):
            values = [run[name] for run in runs if name in run]
            if len(values) > 1:
                row |= {name: fmean(values), f"{name}_sd": stdev(values)}
        rows.append(row)
    return sorted(rows, key=lambda row: _rank(row, objective))


def experiment(overrides: str) -> str:
    """Return the overrides without those in which repetitions differ."""
    return " ".join(o for o in overrides.split() if not o.lstrip("+").startswith(REPEATED))


def columns(objective: str) -> list[str]:
    """Return the columns of a sweep's table."""
    measured = [part for name in MEASURED for part in (name, f"{name}_sd")]
    measured[1:1] = ["test/accuracy_low", "test/accuracy_high"]
    return [
        *("job", "status", "runs", objective, f"{objective}_sd", *measured, "elapsed_seconds"),
        *("data", "protocol", "leaks", "overrides", "error"),
    ]


def write_table(path: Path, rows: list[dict[str, Any]], objective: str) -> None:
    """Write the rows as CSV."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns(objective), extrasaction="ignore", restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def show_table(rows: list[dict[str, Any]], objective: str) -> None:
    """Print the rows on the console; of leaky ones it says so."""
    names = [objective, *MEASURED[:3]]
    overrides = [row["overrides"].split() for row in rows]
    known = [own for own in overrides if own]
    shared = set.intersection(*map(set, known)) if known else set()
    table = Table(Column("job", overflow="fold", ratio=2), "status", *names, "seconds", "leaks")
    for row, own in zip(rows, overrides, strict=True):
        cells = [f"{row[name]:.4f}{_spread(row, name)}" if name in row else "" for name in names]
        seconds = f"{row['elapsed_seconds']:.0f}" if "elapsed_seconds" in row else ""
        job = " ".join(override for override in own if override not in shared) or row["job"]
        job = f"mean of {row['runs']}: {job}" if row["status"] == "mean" else job
        table.add_row(job, row["status"], *cells, seconds, "leaky" if row.get("leaks") else "")
    console = Console()
    Console(width=max(console.width, 140)).print(table)  # wide enough for every column where there is no terminal


def _spread(row: dict[str, Any], name: str) -> str:
    """Return what a figure is uncertain by: deviation of a mean, 95 % interval of one run's accuracy."""
    if f"{name}_sd" in row:
        return f" ± {row[f'{name}_sd']:.4f}"
    if f"{name}_low" in row:
        return f" ({row[f'{name}_low']:.3f} to {row[f'{name}_high']:.3f})"
    return ""


def _rank(row: dict[str, Any], objective: str) -> tuple[bool, bool, float]:
    score = row.get(objective)
    return score is None, bool(row.get("leaks")), -(score or 0.0)
