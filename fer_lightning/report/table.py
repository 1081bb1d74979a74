"""Runs as rows, repeated ones summarised: sweep.csv, and the table on the console."""

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean, stdev
from typing import Any

from rich import get_console
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from fer_lightning.files import write_csv, writing_lock
from fer_lightning.names import printable
from fer_lightning.runs.record import REPEATED, Run, read_run, read_runs
from fer_lightning.words import number, value

log = logging.getLogger(__name__)

JOB = 20  # letters of a job's name that a line of the table shows at least
UNBOUNDED = 10_000  # letters; where there is no terminal
MEASURED = (
    "test/accuracy",
    "test/balanced_accuracy",
    "test/macro_f1",
    "test/accuracy_without_twins",
    "test/one_vs_rest_accuracy",
)
ENOUGH = 3  # repetitions of an experiment before it has a spread, and its mean is compared


def rank(row: Mapping[str, Any], objective: str) -> tuple[bool, bool, float]:
    """Return what sorts rows by objective: the best first, then leaky ones, then those without a score."""
    score = row.get(objective)
    return score is None, bool(row.get("leaks")), -(score or 0.0)


def gather(folders: Iterable[Path]) -> list[Run]:
    """Return every run in or below some folders, each once.

    Raises:
        UserError: If a folder holds none.
    """
    return list({run.folder.resolve(): run for folder in folders for run in read_runs(folder)}.values())


def row_of(run: Run) -> dict[str, Any]:
    """Return a run as a row of the tables."""
    return {"job": run.name, "runs": 1, "overrides": " ".join(run.overrides), **run.record.content()}


def unshared(options: Sequence[Collection[str]]) -> list[str]:
    """Return of each list of options those that the lists do not all share, as one text."""
    shared = set(options[0]).intersection(*options)
    return [" ".join(option for option in own if option not in shared) for own in options]


def experiment(overrides: str) -> str:
    """Return the overrides without those in which repetitions differ."""
    return " ".join(o for o in overrides.split() if not o.lstrip("+").startswith(REPEATED))


def summarize(jobs: Sequence[Mapping[str, Any]], objective: str) -> list[dict[str, Any]]:
    """Return one row per experiment that was repeated with other seeds or folds: means, and standard deviations.

    Two repetitions have no spread: the row holds their ``values`` instead.
    """
    repeated = defaultdict(list)
    for job in jobs:
        if job["status"] == "completed":
            repeated[experiment(job["overrides"])].append(job)
    rows = []
    for overrides, runs in repeated.items():
        if len(runs) == 1:
            continue
        row = {
            "job": f"mean of {len(runs)} runs: {overrides}".rstrip(": "),
            "status": "mean",
            "runs": len(runs),
            "overrides": overrides,
            **{name: runs[0].get(name, "") for name in ("data", "protocol", "leaks")},
        }
        for name in (objective, "elapsed_seconds", *MEASURED):
            values = [run[name] for run in runs if name in run]
            if len(values) >= ENOUGH:
                row |= {name: fmean(values), f"{name}_sd": stdev(values)}
            elif values:
                row |= {name: fmean(values), f"{name}_values": sorted(values)}
        rows.append(row)
    return sorted(rows, key=lambda row: rank(row, objective))


def figure(row: Mapping[str, Any], name: str) -> tuple[str, str]:
    """Return a figure of a row, and what it is uncertain by.

    That is the deviation of a mean, the two values behind one, the 95 % interval of one run, or its few faces.
    """
    if not isinstance(row.get(name), float):
        return "", ""
    shown = value(name, row[name])
    if f"{name}_sd" in row:
        return shown, f"± {value(name, row[f'{name}_sd']).removesuffix(' %')}"
    if f"{name}_values" in row:
        return shown, f"({' and '.join(value(name, one).removesuffix(' %') for one in row[f'{name}_values'])})"
    if f"{name}_low" in row:
        return shown, f"({number(row[f'{name}_low'])} to {number(row[f'{name}_high'])})"
    faces = row.get("test/faces_without_twins")
    if name == "test/accuracy_without_twins" and faces is not None and faces < row.get("test_faces", 0):
        return shown, f"({faces:,.0f} faces)"
    return shown, ""


def seconds(row: Mapping[str, Any]) -> str:
    """Return how long training took."""
    return f"{row['elapsed_seconds']:,.0f}" if row.get("elapsed_seconds") is not None else ""


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table to paste into a paper."""
    cells = [[cell.replace("|", "\\|") for cell in line] for line in (header, ["---"] * len(header), *rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def tabulate(folder: Path, objective: str) -> list[dict[str, Any]]:
    """Write ``sweep.csv`` into a sweep's folder and return its rows."""
    with writing_lock(folder):
        jobs = collect(folder, objective)
        rows = [*summarize(jobs, objective), *jobs]
        write_table(folder / "sweep.csv", rows, objective)
    return rows


def collect(sweep_dir: Path, objective: str) -> list[dict[str, Any]]:
    """Return one row per job that has begun, the best first."""
    runs = (read_run(path.parent) for path in sorted(sweep_dir.glob("*/metrics.json")))
    return sorted(map(row_of, runs), key=lambda row: rank(row, objective))


def columns(objective: str) -> list[str]:
    """Return the columns of a sweep's table."""
    measured = [part for name in MEASURED for part in (name, f"{name}_sd")]
    measured[1:1] = ["test/accuracy_low", "test/accuracy_high"]
    return [
        *("job", "status", "runs", objective, f"{objective}_sd", *measured, "elapsed_seconds"),
        *("data", "protocol", "leaks", "overrides", "error"),
    ]


def write_table(path: Path, rows: Iterable[Mapping[str, Any]], objective: str) -> None:
    """Write the rows as CSV."""
    header = columns(objective)
    write_csv(path, header, ([row.get(name, "") for name in header] for row in rows))


def show_table(rows: Sequence[Mapping[str, Any]], objective: str) -> None:
    """Print the rows on the console; of leaky ones it says so, and of columns that a terminal has no room for."""
    names = [objective, *(name for name in MEASURED[:3] if name != objective)]
    cells: dict[str, list[str]] = {name: [] for name in ("job", "status", *names, "seconds", "leaks")}
    for row, own in zip(rows, unshared([row["overrides"].split() for row in rows]), strict=True):
        job = own or row["job"]
        job = f"mean of {row['runs']}: {own}".rstrip(": ") if row["status"] == "mean" else job
        cells["job"].append(printable(job))
        cells["status"].append(row["status"])
        for name in names:
            cells[name].append(" ".join(figure(row, name)).strip())
        cells["seconds"].append(seconds(row))
        cells["leaks"].append("leaky" if row.get("leaks") else "")
    if not any(cells["leaks"]):
        del cells["leaks"]
    console = get_console()
    order = [name for name in (*MEASURED[2:0:-1], "seconds", "status", objective) if name != MEASURED[0]]
    dropped = drop_columns(cells, order, console.width if console.is_terminal else UNBOUNDED)
    table = Table(*(Column(name, no_wrap=True) for name in cells))
    table.columns[0].no_wrap, table.columns[0].overflow = False, "fold"
    for line in zip(*cells.values(), strict=True):
        table.add_row(*map(escape, line))
    print_table(table)
    if dropped:
        log.info("left out for lack of room: %s; sweep.csv has every column", ", ".join(dropped))


def drop_columns(cells: dict[str, list[str]], order: Iterable[str], room: int) -> list[str]:
    """Take columns out of a table, in the given order, until it fits; return those that were taken.

    Args:
        cells: Column -> its cells. The first column may be folded down to ``JOB`` letters, the others are kept whole.
        order: Columns that may go, the least important one first.
        room: Width of the console, letters.
    """
    first = next(iter(cells))
    dropped = []
    for name in order:
        widths = {column: max(map(len, [column, *texts])) for column, texts in cells.items()}
        if min(widths.pop(first), JOB) + sum(widths.values()) + 3 * len(cells) + 1 <= room:
            break
        if cells.pop(name, None) is not None:
            dropped.append(name)
    return dropped


def print_table(table: Table) -> None:
    """Print a table on the console, as wide as it is where that is no terminal."""
    console = get_console()
    if not console.is_terminal:
        console = Console(width=console.measure(table, options=console.options.update(width=UNBOUNDED)).maximum)
    console.print(table)
