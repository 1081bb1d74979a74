"""report.html: one page about some runs, written after every job and by ``python -m fer_lightning report``."""

import json
import os
import shlex
from collections import defaultdict
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from typing import Any
from urllib.parse import quote

from matplotlib.figure import Figure
from omegaconf import OmegaConf

from fer_lightning.config import find_files
from fer_lightning.config.verbs import program, verb
from fer_lightning.files import write_text
from fer_lightning.report.doctor import findings
from fer_lightning.report.figures import FIGURES, Plot, plots
from fer_lightning.report.html import data_url, write_page
from fer_lightning.report.ranking import Board, Entry, gather, rank_runs
from fer_lightning.report.slices import read_slices
from fer_lightning.report.snapshots import TITLES
from fer_lightning.report.stress import by_change, read_stress
from fer_lightning.report.style import CLASS_COLORS, DPI, by_class, save, short
from fer_lightning.report.tables import figure, leaderboard, seconds
from fer_lightning.report.verdict import differences, verdict
from fer_lightning.report.yardsticks import audit_of
from fer_lightning.runs.record import Run
from fer_lightning.words import counted, named

DASHES = {"-": "", "--": "7 3", ":": "2 3", "-.": "8 3 2 3"}  # line of matplotlib -> stroke-dasharray of SVG
CHOICES = ("embedder", "loss", "miner", "sampler", "augmentation", "scheduler", "classifier")  # groups of conf/
VALUES = 4  # of an option in the heading of a sweep
LONGEST = 40  # letters of a value


@verb(
    "report",
    "write report.html and figures/ of runs and sweeps again",
    {
        "folders": {"nargs": "+", "metavar": "FOLDER", "help": "folder of a run or of a sweep"},
        "--output": {"help": "folder of the report; the first FOLDER unless given"},
    },
)
def report(folders: Sequence[Path], output: Path | None) -> None:
    """Write the report of the runs in or below some folders, and print its path.

    Args:
        folders: Folders of runs or of sweeps.
        output: Folder of the report; the first folder if None.

    Raises:
        UserError: If a folder holds no run.
    """
    runs = gather(folders)
    output = output or folders[0]
    output.mkdir(parents=True, exist_ok=True)
    write_report(output, runs)
    print(f"written: {output}/report.html")


def write_report(folder: Path, runs: Sequence[Run]) -> None:
    """Write ``report.html`` and ``figures/`` about some runs into a folder, and ``sweep.md`` about several."""
    board = rank_runs(runs)
    named_runs = list(zip(board.names, board.runs, strict=True))
    write_page(
        folder / "report.html",
        "report.html",
        title=heading(board),
        folder=folder.absolute().name,
        board=board,
        several=len(board.entries) > 1,
        repeated=any(entry.repeated for entry in board.entries),
        cards=verdict(board),
        leaks=sorted({run.record.leaks for run in board.runs if run.record.leaks}),
        too_good=sorted({run.record.too_good for run in board.runs if run.record.too_good}),
        measures=[named(metric) for metric in board.metrics],
        rows=zip(board.entries, differences(board), strict=True),
        figure=figure,
        seconds=seconds,
        link=lambda entry: _link(entry, folder),
        doctor={name: faults for name, run in named_runs if (faults := findings(run))},
        plots=_plots(board, folder),
        dashes=DASHES,
        best=_details(*board.scored[0]) if board.scored else None,
        commands={name: command(run) for name, run in named_runs},
    )
    if len(runs) > 1:
        write_text(folder / "sweep.md", leaderboard(board))


def _link(entry: Entry, folder: Path) -> str:
    """Return the address of a run's own page, seen from the folder of this one; empty without such a page."""
    page = entry.runs[0].folder / "report.html"
    if entry.repeated or not page.is_file() or page.parent.absolute() == folder.absolute():
        return ""
    return quote(Path(os.path.relpath(page, folder)).as_posix())


def _plots(board: Board, folder: Path) -> list[tuple[Plot, list[str]]]:
    """Write the files of the figures; return each figure with its images for the page."""
    drawn = []
    for plot in plots(board):
        path = folder / "figures" / f"{plot.name}.png"
        if not _is_current(path, board):
            save(plot.draw(), path)
        drawn.append((plot, [_image(draw()) for draw in plot.parts] or [data_url(path.read_bytes())]))
    if len(board.runs) > 1:  # figures that compare runs stand before those with an image per run
        drawn.sort(key=lambda pair: len(pair[1]) > 1)
    return drawn


def _is_current(path: Path, board: Board) -> bool:
    """Return whether a run's figure is newer than its results: the media callback draws it after the test."""
    folder = path.parent.parent
    alone = len(board.runs) == 1 and board.runs[0].folder.resolve() == folder.resolve()
    return alone and path.is_file() and path.stat().st_mtime_ns >= (folder / "predictions.csv").stat().st_mtime_ns


def _image(figure: Figure) -> str:
    """Return a figure as a data URL."""
    content = BytesIO()
    figure.savefig(content, format="png", dpi=DPI)
    return data_url(content.getvalue())


def _details(label: str, run: Run) -> dict[str, Any]:
    """Return the details of the best run for the page, by name."""
    mistakes = run.folder / "mistakes.json"
    return {
        "label": label,
        "run": run,
        "settings": choices(run),
        "audit": audit_of(run),
        "pictures": list(_pictures(run)),
        "mistakes": json.loads(mistakes.read_text(encoding="utf-8"))["mistakes"] if mistakes.is_file() else [],
        "colors": by_class(run.classes, CLASS_COLORS),
        "stress": by_change(read_stress(run.folder, run.record.weights)),
        "slices": read_slices(run.folder),
    }


def _pictures(run: Run) -> Iterator[tuple[str, str, bool]]:
    """Yield title and image of each figure that only the run's test could draw, and whether it shows faces."""
    drawn_from_files = {make.__name__ for make in FIGURES} | {"confusion_matrix"}
    for path in sorted((run.folder / "figures").glob("*.png")):
        if path.stem not in drawn_from_files:
            title = TITLES.get(path.stem, path.stem.replace("_", " "))
            yield title, data_url(path.read_bytes()), path.stem == "augmentation"


def command(run: Run) -> str:
    """Return the command that repeats a run."""
    options = list(run.overrides)
    name = "eval" if any(option.startswith("checkpoint=") for option in options) else "train"
    name = "score" if run.record.predictions else name
    chosen = [option.split("=", 1) for option in options if option.startswith(("experiment=", "hparams_search="))]
    files = [OmegaConf.load(path) for group, choice in chosen for path in find_files(group, choice)]
    if any(OmegaConf.select(file, "hydra.mode") == "MULTIRUN" for file in files):
        options.append("hydra.mode=RUN")  # such an experiment sweeps; these are the options of one of its jobs
    return f"{program(name)} {shlex.join(options)}".rstrip()


def heading(board: Board) -> str:
    """Return the settings of one run, or the options that differ between several, and the name of the faces."""
    runs = board.runs
    data = (board.best if board.scored else runs[0]).record.data
    faces = f" on {data}" if data else ""
    if len(runs) > 1:
        options = "; ".join(f"{option} {', '.join(values)}" for option, values in swept(runs).items())
        return f"{len(runs)} runs{faces}: {options}" if options else f"{len(runs)} runs{faces}"
    (run,) = runs
    name = next((override.split("=", 1)[1] for override in run.overrides if override.startswith("run_name=")), "")
    name = name or Path(run.record.predictions or "").stem
    text = "One run"
    if settings := run.record.settings:
        optimizer, epochs = settings["optimizer"].rsplit(".", 1)[-1], counted(settings["max_epochs"], "epoch")
        text = (
            f"{optimizer}, learning rate {settings['learning_rate']:g}, batch size {settings['batch_size']}, {epochs}"
        )
    return f"{name}: {text}{faces}" if name else f"{text}{faces}"


def choices(run: Run) -> str:
    """Return the run's choices in the groups of conf/, and its seed; empty without the file of them, or training."""
    path = run.folder / ".hydra" / "hydra.yaml"
    if not path.is_file() or not run.record.settings:
        return ""
    chosen = OmegaConf.load(path).hydra.runtime.choices
    settings = [f"{group} {chosen[group]}" for group in CHOICES if chosen.get(group) not in (None, "none")]
    if run.record.settings.get("seed") is not None:
        settings.append(f"seed {run.record.settings['seed']}")
    return ", ".join(settings)


def swept(runs: Sequence[Run]) -> dict[str, list[str]]:
    """Return option without its group -> first values, for the options that differ between runs."""
    values: dict[str, list[str]] = defaultdict(list)
    for run in runs:
        for override in run.overrides:
            option, _, value = override.partition("=")
            value = short(value.rsplit("/", 1)[-1], LONGEST)  # a path without its folders
            if value not in values[option]:
                values[option].append(value)
    return {
        option.rsplit(".", 1)[-1]: choices if len(choices) <= VALUES else [*choices[:VALUES], "..."]
        for option, choices in values.items()
        if len(choices) > 1
    }
