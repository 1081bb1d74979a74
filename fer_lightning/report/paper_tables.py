"""Tables 4 and 6 of the paper, with our figures beside its claims."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean

from fer_lightning.config.verbs import program, verb
from fer_lightning.errors import UserError
from fer_lightning.files import write_csv, write_text
from fer_lightning.report.ranking import gather
from fer_lightning.report.tables import markdown
from fer_lightning.runs.record import Run, Status
from fer_lightning.words import number, percent

TABLE4 = {  # optimizer -> claimed accuracy and seconds; precision, recall and F1 are all "100 %"
    "Adam": (0.9996, 16 * 60 + 14),
    "SGD": (0.9991, 12 * 60 + 32),
    "RMSprop": (0.9992, 12 * 60 + 47),
}
TABLE6 = (  # epochs, batch size, optimizer, claimed accuracy
    (8, 16, "Adam", 0.9996),
    (16, 32, "Adam", 0.9984),
    (16, 32, "SGD", 0.9975),
    (16, 32, "RMSprop", 0.9970),
)
WHOSE = {"honest": "ours, honest", "paper": "ours, leaky (split after augmenting)"}
SCORES = ("test/accuracy", "test/macro_precision", "test/macro_recall", "test/macro_f1")
HEADER4 = (
    *("Training model", "Figure", "Accuracy", "95 % interval", "Precision", "Recall", "F1-score", "Elapsed time"),
    *("Epochs", "Runs", "Test pictures"),
)
HEADER6 = (
    *("Trial No.", "Epoch", "Batch size", "Optimizer", "Learning rate", "Claimed"),
    *("Ours, honest", "95 % interval", "Ours, leaky", "95 % interval"),
)


def collect(folders: Sequence[Path]) -> list[Run]:
    """Return the completed runs in or below some folders.

    Raises:
        UserError: If there is none, or if their faces differ.
    """
    completed = (run for run in gather(folders) if run.record.status == Status.COMPLETED and not run.record.trained_on)
    runs = [run for run in completed if "test/accuracy_low" in run.figures]
    if not runs:
        raise UserError(
            f"no completed run lies under {', '.join(map(str, folders))}: "
            f"run {program('train')} experiment=paper_table4 first"
        )
    sources = {str(run.record.data) for run in runs}
    if len(sources) > 1:
        raise UserError(f"these runs are of different faces ({', '.join(sorted(sources))}): give folders of one")
    return runs


def table4(runs: list[Run]) -> list[list[str]]:
    """Return the rows of table 4: for each optimizer the claim, our honest runs and our leaky runs; then averages."""
    rows: list[list[str]] = []
    averages: dict[str, list[float]] = {protocol: [] for protocol in WHOSE}
    for optimizer, (claim, seconds) in TABLE4.items():
        rows.append(_claim(optimizer, claim, seconds))
        for protocol, whose in WHOSE.items():
            matching = [run for run in _matching(runs, optimizer, 16, protocol) if _epochs(run) <= 8]
            longest = max(map(_epochs, matching), default=0)  # a shortened run counts only if there is no whole one
            matching = [run for run in matching if _epochs(run) == longest]
            rows.append([optimizer, whose, *_measured(matching)])
            if matching:
                averages[protocol].append(_mean(matching, "test/accuracy"))
    rows.append(_claim("Average", *map(fmean, zip(*TABLE4.values(), strict=True))))
    for protocol, whose in WHOSE.items():
        complete = len(averages[protocol]) == len(TABLE4)
        average = percent(fmean(averages[protocol]), 2) if complete else "not run"
        rows.append(["Average", whose, average, *[""] * (len(HEADER4) - 3)])
    return rows


def table6(runs: list[Run]) -> list[list[str]]:
    """Return the rows of table 6: for each trial the claim, our honest runs and our leaky runs."""
    rows = []
    for trial, (epochs, batch, optimizer, claim) in enumerate(TABLE6, start=1):
        row = [f"Trial {trial}", str(epochs), str(batch), optimizer, "0.0001", percent(claim, 2)]
        for protocol in WHOSE:
            matching = [run for run in _matching(runs, optimizer, batch, protocol) if _epochs(run) == epochs]
            row += _measured(matching)[:2] if matching else ["not run", ""]
        rows.append(row)
    return rows


def notes(runs: list[Run]) -> Iterator[str]:
    """Yield the notes to the tables, one line each."""
    yield f"Faces: {runs[0].record.data}. Precision, recall and F1 of ours are means over the classes."
    for protocol in WHOSE:
        records = [run.record for run in runs if run.record.protocol == protocol]
        for proves, leaks in sorted({(str(record.proves), record.leaks or "") for record in records}):
            yield f"What protocol `{protocol}` shows: {proves}{f'; leaky: {leaks}' if leaks else ''}."
    yield "The claims are the paper's, measured by its authors in a way that the paper does not fully describe."


def _matching(runs: list[Run], optimizer: str, batch: int, protocol: str) -> list[Run]:
    return [
        run
        for run in runs
        if run.record.settings["optimizer"].rsplit(".", 1)[-1] == optimizer
        and run.record.settings["batch_size"] == batch
        and run.record.settings["learning_rate"] == 1e-4
        and run.record.protocol == protocol
    ]


def _epochs(run: Run) -> int:
    return run.record.settings["max_epochs"]


def _mean(runs: list[Run], metric: str) -> float:
    return fmean(run.figures[metric] for run in runs)


def _claim(model: str, accuracy: float, seconds: float) -> list[str]:
    return [model, "claimed", percent(accuracy, 2), "", "100 %", "100 %", "100 %", _time(seconds), "", "", ""]


def _measured(runs: list[Run]) -> list[str]:
    """Return the figures of some runs, from the accuracy to the number of test pictures."""
    if not runs:
        return ["not run", *[""] * (len(HEADER4) - 3)]
    accuracy, *scores = (percent(_mean(runs, metric), 2) for metric in SCORES)
    low = min(run.figures["test/accuracy_low"] for run in runs)  # of one run the bootstrap interval
    high = max(run.figures["test/accuracy_high"] for run in runs)
    seconds = _time(fmean(run.record.elapsed_seconds or 0.0 for run in runs))
    interval = f"{number(low, 2)} to {number(high, 2)}"
    faces = f"{runs[0].record.test_faces:,}"
    return [accuracy, interval, *scores, seconds, str(_epochs(runs[0])), str(len(runs)), faces]


def _time(seconds: float) -> str:
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"


@verb(
    "tables",
    "fill tables 4 and 6 of the paper from runs",
    {"folders": {"nargs": "+", "metavar": "FOLDER", "help": "folder of runs or sweeps"}},
)
def tables(folders: Sequence[Path]) -> None:
    """Print the two tables and write them into the first folder."""
    runs = collect(folders)
    folder = folders[0]
    for name, header, rows in (("table4", HEADER4, table4(runs)), ("table6", HEADER6, table6(runs))):
        text = markdown(header, rows)
        print(text)
        write_text(folder / f"{name}.md", "\n".join([text, *notes(runs), ""]))
        write_csv(folder / f"{name}.csv", header, rows)
    print("\n".join(notes(runs)))
    print(f"written: {folder}/table4.md, table4.csv, table6.md, table6.csv")
