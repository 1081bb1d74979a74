"""Tables 4 and 6 of the paper with our figures beside its claims."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

from fer_lightning.errors import UserError
from fer_lightning.files import write_csv, write_text
from fer_lightning.report.table import gather, markdown
from fer_lightning.words import number, percent

TABLE4 = {  # training model: accuracy and elapsed seconds as claimed; precision, recall and F1 are all "100 %"
    "Adam": (0.9996, 16 * 60 + 14),
    "SGD": (0.9991, 12 * 60 + 32),
    "RMSprop": (0.9992, 12 * 60 + 47),
}
TABLE6 = (  # epochs, batch size, optimizer, accuracy as claimed
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


def collect(folders: Sequence[Path]) -> list[dict[str, Any]]:
    """Return what every completed run under some folders noted of itself.

    Raises:
        UserError: If there is none, or they are of different faces.
    """
    found = (run.metrics for run in gather(folders))
    runs = [noted for noted in found if noted.get("status") == "completed" and "test/accuracy_low" in noted]
    if not runs:
        raise UserError(
            f"no completed run lies under {', '.join(map(str, folders))}: "
            "run python train.py experiment=paper_table4 first"
        )
    sources = {run["data"] for run in runs}
    if len(sources) > 1:
        raise UserError(f"these runs are of different faces ({', '.join(sorted(sources))}): give folders of one")
    return runs


def table4(runs: list[dict[str, Any]]) -> list[list[str]]:
    """Return the rows of table 4: per optimizer the claim, ours under ``honest`` and ours under ``paper``."""
    rows: list[list[str]] = []
    averages: dict[str, list[float]] = {"claimed": [], "honest": [], "paper": []}
    for optimizer, (claim, seconds) in TABLE4.items():
        rows.append(_claim(optimizer, claim, seconds))
        averages["claimed"].append(claim)
        for protocol in WHOSE:
            own = [run for run in _matching(runs, optimizer, 16, protocol) if run["settings"]["max_epochs"] <= 8]
            # A shortened run counts only where there is no whole one.
            most = max((run["settings"]["max_epochs"] for run in own), default=0)
            own = [run for run in own if run["settings"]["max_epochs"] == most]
            rows.append([optimizer, WHOSE[protocol], *_ours(own)])
            averages[protocol] += [fmean(run["test/accuracy"] for run in own)] if own else []
    rows.append(_claim("Average", fmean(averages["claimed"]), fmean(seconds for _, seconds in TABLE4.values())))
    for protocol, whose in WHOSE.items():
        complete = len(averages[protocol]) == len(TABLE4)
        average = percent(fmean(averages[protocol]), 2) if complete else "not run"
        rows.append(["Average", whose, average, *[""] * (len(HEADER4) - 3)])
    return rows


def table6(runs: list[dict[str, Any]]) -> list[list[str]]:
    """Return the rows of table 6: per trial the claim, ours under ``honest`` and ours under ``paper``."""
    rows = []
    for trial, (epochs, batch, optimizer, claim) in enumerate(TABLE6, start=1):
        row = [f"Trial {trial}", str(epochs), str(batch), optimizer, "0.0001", percent(claim, 2)]
        for protocol in WHOSE:
            own = [
                run for run in _matching(runs, optimizer, batch, protocol) if run["settings"]["max_epochs"] == epochs
            ]
            row += [percent(fmean(run["test/accuracy"] for run in own), 2), _interval(own)] if own else ["not run", ""]
        rows.append(row)
    return rows


def notes(runs: list[dict[str, Any]]) -> Iterator[str]:
    """Yield what has to be known to read the tables, one line each."""
    yield f"Faces: {runs[0]['data']}. Precision, recall and F1 of ours are means over the classes."
    for protocol in WHOSE:
        for proves, leaks in sorted({(run["proves"], run["leaks"]) for run in runs if run["protocol"] == protocol}):
            yield f"What protocol `{protocol}` shows: {proves}{f'; leaky: {leaks}' if leaks else ''}."
    yield "The claims are the paper's, measured by its authors in a way that the paper does not fully describe."


def _matching(runs: list[dict[str, Any]], optimizer: str, batch: int, protocol: str) -> list[dict[str, Any]]:
    return [
        run
        for run in runs
        if run["settings"]["optimizer"].rsplit(".", 1)[-1] == optimizer
        and run["settings"]["batch_size"] == batch
        and run["settings"]["learning_rate"] == 1e-4
        and run["protocol"] == protocol
    ]


def _claim(model: str, accuracy: float, seconds: float) -> list[str]:
    return [model, "claimed", percent(accuracy, 2), "", "100 %", "100 %", "100 %", _time(seconds), "", "", ""]


def _ours(runs: list[dict[str, Any]]) -> list[str]:
    if not runs:
        return ["not run", *[""] * (len(HEADER4) - 3)]
    accuracy, *others = (percent(fmean(run[name] for run in runs), 2) for name in SCORES)
    elapsed = _time(fmean(run["elapsed_seconds"] for run in runs))
    epochs, faces = runs[0]["settings"]["max_epochs"], runs[0]["test_faces"]
    return [accuracy, _interval(runs), *others, elapsed, str(epochs), str(len(runs)), f"{faces:,}"]


def _interval(runs: list[dict[str, Any]]) -> str:
    """Return the bootstrap interval of one run, or the lowest and highest bound of several."""
    low, high = min(run["test/accuracy_low"] for run in runs), max(run["test/accuracy_high"] for run in runs)
    return f"{number(low, 2)} to {number(high, 2)}"


def _time(seconds: float) -> str:
    return f"{int(seconds // 60)} min {int(seconds % 60)} s"


def tables(folders: Sequence[Path]) -> None:
    """Print the two tables, and write them into the first folder.

    Args:
        folders: Folders of runs or sweeps.

    Raises:
        UserError: If they hold no completed run, or runs of different faces.
    """
    runs = collect(folders)
    folder = folders[0]
    for name, header, rows in (("table4", HEADER4, table4(runs)), ("table6", HEADER6, table6(runs))):
        text = markdown(header, rows)
        print(text)
        write_text(folder / f"{name}.md", "\n".join([text, *notes(runs), ""]))
        write_csv(folder / f"{name}.csv", header, rows)
    print("\n".join(notes(runs)))
    print(f"written: {folder}/table4.md, table4.csv, table6.md, table6.csv")
