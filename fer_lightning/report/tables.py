"""Results as tables: sweep.csv, sweep.md, and what the console shows of a sweep and of a test."""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from rich import get_console
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table

from fer_lightning.files import write_csv, writing_lock
from fer_lightning.names import printable
from fer_lightning.report.ranking import IN_CSV, MEASURED, Board, Entry, rank_runs, read_jobs, unshared
from fer_lightning.runs.record import Record, Status
from fer_lightning.words import counted, named, number, percent, value

if TYPE_CHECKING:
    from fer_lightning.report.slices import Slice  # scipy loads slowly

log = logging.getLogger(__name__)

JOB = 20  # letters of a job's name that fit on one line at least
UNBOUNDED = 10_000  # letters; width of an output that is no terminal


def figure(entry: Entry, metric: str) -> tuple[str, str]:
    """Return the text of a figure and of its uncertainty; empty texts if the entry lacks it.

    The uncertainty is the standard deviation (3 runs or more), both values (2 runs), the 95 % interval (1 run), or the
    number of faces.
    """
    figures = entry.figures
    if metric not in figures:
        return "", ""
    text = value(metric, figures[metric])
    deviation = entry.deviation(metric)
    if deviation is not None:
        return text, f"± {value(metric, deviation).removesuffix(' %')}"
    if metric in entry.values:
        values = [value(metric, share).removesuffix(" %") for share in entry.values[metric]]
        return text, f"({' and '.join(values)})"
    if f"{metric}_low" in figures:
        return text, f"({number(figures[f'{metric}_low'])} to {number(figures[f'{metric}_high'])})"
    without, faces = figures.get("test/faces_without_twins"), entry.record.test_faces or 0
    if without is not None and without < faces:
        if metric == "test/accuracy_without_twins":
            return text, f"({without:,.0f} faces)"
        if metric == "test/accuracy_with_twins":
            return text, f"({faces - without:,.0f} faces)"
    return text, ""


def figure_text(entry: Entry, metric: str) -> str:
    """Return the text of a figure with its uncertainty."""
    return " ".join(figure(entry, metric)).strip()


def seconds(entry: Entry) -> str:
    """Return the text of the training time."""
    return "" if entry.seconds is None else f"{entry.seconds:,.0f}"


def tabulate(folder: Path, objective: str) -> Board:
    """Write ``sweep.csv`` into a sweep's folder; return the ranked jobs."""
    with writing_lock(folder):
        board = rank_runs(read_jobs(folder), objective)
        write_csv(folder / "sweep.csv", *sweep_table(board))
    return board


def columns(objective: str) -> list[str]:
    """Return the columns of sweep.csv."""
    measured = [column for metric in IN_CSV for column in (metric, f"{metric}_sd")]
    measured[1:1] = ["test/accuracy_low", "test/accuracy_high"]
    first = ["job", "status", "runs", objective, f"{objective}_sd"]
    return [*first, *measured, "elapsed_seconds", "data", "protocol", "leaks", "overrides", "error"]


def sweep_table(board: Board) -> tuple[list[str], list[list[object]]]:
    """Return the columns of sweep.csv, and a row for each entry."""
    header = columns(board.objective)
    return header, [[cells.get(column) for column in header] for cells in map(_cells, board.entries)]


def _cells(entry: Entry) -> dict[str, object]:
    """Return column -> value of a row of sweep.csv."""
    if entry.repeated:
        job = f"mean of {len(entry.runs)} runs: {' '.join(entry.overrides)}".removesuffix(": ")
    else:
        job = entry.runs[0].name
    record = entry.record
    return {
        "job": job,
        "status": str(entry.status),
        "runs": len(entry.runs),
        **entry.figures,
        **{f"{metric}_sd": entry.deviation(metric) for metric in entry.values},
        "elapsed_seconds": entry.seconds,
        "data": record.data,
        "protocol": record.protocol,
        "leaks": record.leaks,
        "overrides": " ".join(entry.overrides),
        "error": record.error,
    }


def markdown(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table in Markdown."""
    cells = [[cell.replace("|", "\\|") for cell in line] for line in (header, ["---"] * len(header), *rows)]
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def leaderboard(board: Board) -> str:
    """Return the completed entries as a Markdown table for a paper."""
    metrics = board.metrics
    header = ["job", "protocol", "runs", *map(named, metrics), "seconds"]
    rows = [
        [
            entry.label,
            " ".join([entry.record.protocol or "", *(f"({mark})" for mark in entry.marks)]),
            str(len(entry.runs)),
            *(figure_text(entry, metric) for metric in metrics),
            seconds(entry),
        ]
        for entry in board.entries
        if entry.repeated or entry.status == Status.COMPLETED
    ]
    note = (
        "One run: value (95 % bootstrap interval over groups of twins). Three runs and more: mean ± standard "
        "deviation; two: mean (the two values). Accuracy is multiclass."
    )
    return f"{markdown(header, rows)}\n{note}\n"


def show_table(board: Board) -> None:
    """Print the entries on the console. Columns that do not fit into a terminal are left out and named below it."""
    metrics = [board.objective, *(metric for metric in MEASURED[:3] if metric != board.objective)]
    cells: dict[str, list[str]] = {name: [] for name in ("job", "status", *metrics, "seconds", "leaks")}
    options = unshared([entry.overrides for entry in board.entries])
    for entry, overrides in zip(board.entries, options, strict=True):
        cells["job"].append(printable(entry.label if entry.repeated else overrides or entry.runs[0].name))
        cells["status"].append(entry.status)
        for metric in metrics:
            cells[metric].append(figure_text(entry, metric))
        cells["seconds"].append(seconds(entry))
        cells["leaks"].append("leaky" if entry.leaky else "unknown" if entry.unknown else "")
    if not any(cells["leaks"]):
        del cells["leaks"]
    console = get_console()
    least_important = ["test/macro_f1", "test/balanced_accuracy", "seconds", "status", board.objective]
    order = [name for name in least_important if name != "test/accuracy"]
    dropped = drop_columns(cells, order, console.width if console.is_terminal else UNBOUNDED)
    table = Table(*(Column(name, no_wrap=True) for name in cells))
    table.columns[0].no_wrap, table.columns[0].overflow = False, "fold"
    for row in zip(*cells.values(), strict=True):
        table.add_row(*map(escape, row))
    print_table(table)
    if dropped:
        log.info("left out for lack of room: %s; sweep.csv has every column", ", ".join(dropped))


def drop_columns(cells: dict[str, list[str]], order: Iterable[str], width: int) -> list[str]:
    """Remove columns from a table, in the given order, until it fits; return the names of the removed columns.

    Args:
        cells: Column -> its cells. The first column may be folded to ``JOB`` letters, the others need their full width.
        order: Columns that may go, the least important one first.
        width: Width of the console in letters.
    """
    first = next(iter(cells))
    dropped = []
    for name in order:
        widths = {column: max(map(len, [column, *texts])) for column, texts in cells.items()}
        if min(widths.pop(first), JOB) + sum(widths.values()) + 3 * len(cells) + 1 <= width:
            break
        if cells.pop(name, None) is not None:
            dropped.append(name)
    return dropped


def print_table(table: Table) -> None:
    """Print a table on the console; in its full width if the output is no terminal."""
    console = get_console()
    if not console.is_terminal:
        console = Console(width=console.measure(table, options=console.options.update(width=UNBOUNDED)).maximum)
    console.print(table)


def print_score(record: Record, labels: np.ndarray, classes: Sequence[str], slices: "Sequence[Slice]" = ()) -> None:
    """Print a test's scores, what to compare them with, those of the answered faces, and the first, worst slice."""
    figures = record.figures
    counts = np.bincount(labels, minlength=len(classes))
    majority = f"{classes[int(counts.argmax())]} {percent(counts.max() / counts.sum())}"
    limit = "" if record.label_limit is None else f"; the labels allow {percent(record.label_limit)}"
    interval = f"{number(figures['test/accuracy_low'])} to {number(figures['test/accuracy_high'])}"
    chance = f"guessing scores {percent(1 / len(classes))}, always answering {majority}{limit}"
    log.info("test/accuracy %s (95 %% interval %s); %s", percent(figures["test/accuracy"]), interval, chance)
    scores = f"balanced {percent(figures['test/balanced_accuracy'])}, macro F1 {percent(figures['test/macro_f1'])}"
    leaks = "; leaks unknown" if record.leaks is None else f"; leaky: {record.leaks}" if record.leaks else ""
    faces = f"{counted(record.test_faces or 0, 'test face')} of {record.data}, protocol {record.protocol}"
    log.info("%s; %s%s", scores, faces, leaks)
    without_twins = int(figures.get("test/faces_without_twins", 0))
    if without_twins and without_twins != record.test_faces:
        accuracy = percent(figures["test/accuracy_without_twins"])
        same_mix = percent(figures["test/accuracy_without_twins_same_mix"])
        log.info(
            "test/accuracy_without_twins %s on the %d without a twin in training (with the class mix of all: %s)",
            *(accuracy, without_twins, same_mix),
        )
    answered = figures.get("test/answered", 1.0)
    if answered < 1:
        right = percent(figures.get("test/accuracy_answered", 0.0))
        log.info(
            "%s of the test faces are answered, %s of them rightly; it abstains from the rest", percent(answered), right
        )
    if slices and slices[0].judgement == "worse":
        log.info("worst slice: %s", slices[0])
    if record.too_good:
        log.warning(record.too_good)
