"""report.html: one page about some runs, written after every job and by ``python -m fer_lightning report``."""

import base64
import io
import json
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

from matplotlib.figure import Figure

from fer_lightning.config.verbs import program, verb
from fer_lightning.files import write_text
from fer_lightning.report.doctor import findings
from fer_lightning.report.figures import FIGURES, Plot, plots
from fer_lightning.report.heading import choices, heading
from fer_lightning.report.html import embed, write_page
from fer_lightning.report.ranking import MEASURED, Board, Entry, gather, rank_runs
from fer_lightning.report.snapshots import TITLES
from fer_lightning.report.stress import Outcome, by_change, read_stress
from fer_lightning.report.style import DPI, class_colors, save
from fer_lightning.report.tables import figure, leaderboard, seconds
from fer_lightning.report.verdict import Card, differences, verdict
from fer_lightning.report.yardsticks import FER2013_TEXT, audit_of, of_fer2013
from fer_lightning.runs.record import Run, Status
from fer_lightning.words import named

DASHES = {"-": "", "--": "7 3", ":": "2 3", "-.": "8 3 2 3"}  # line of matplotlib -> stroke-dasharray of SVG


@dataclass(frozen=True)
class Row:
    """A row of the page's leaderboard.

    Attributes:
        job: Name of the run or experiment.
        link: Address of the run's own page, or "".
        entry: Its entry.
        figures: Text and uncertainty of each measure.
        difference: Test accuracy minus the best, and its interval, as text.
        seconds: Training time as text.
    """

    job: str
    link: str
    entry: Entry
    figures: Sequence[tuple[str, str]]
    difference: tuple[str, str]
    seconds: str

    @property
    def classes(self) -> str:
        """CSS classes of the row."""
        classes = ["leaky"] if self.entry.leaky else []
        if self.entry.status != Status.COMPLETED:
            classes.append(self.entry.status)
        if self.difference[0] == "best":
            classes.append("best")
        return " ".join(classes)


@dataclass(frozen=True)
class Detail:
    """Content of the page about the best run alone.

    Attributes:
        label: Name of the run.
        run: The run.
        settings: Choices of the configuration, in words.
        audit: Content of its audit.json.
        pictures: Title, image and whether it shows faces, of the figures from its test.
        mistakes: Content of its mistakes.json.
        stress: Change -> outcomes of its stress test.
    """

    label: str
    run: Run
    settings: str
    audit: Mapping[str, Any]
    pictures: Sequence[tuple[str, str, bool]]
    mistakes: Sequence[Mapping[str, Any]]
    stress: Mapping[str, Sequence[Outcome]]

    @property
    def colors(self) -> dict[str, str]:
        """Colour of each class."""
        return class_colors(self.run.classes)

    @property
    def published(self) -> str:
        """Published accuracies on the same faces, in words; empty for other faces."""
        return FER2013_TEXT if of_fer2013(self.audit) else ""


@dataclass(frozen=True)
class Page:
    """Content of report.html.

    Attributes:
        folder: Folder of the page.
        board: The ranked runs.
        cards: The verdict.
        rows: The leaderboard.
        doctor: Name of a run -> its findings.
        plots: The figures, each with its images.
        best: Details of the best run with a score, or None.
        commands: Name of a run -> the command that repeats it.
    """

    folder: Path
    board: Board
    cards: Sequence[Card]
    rows: Sequence[Row]
    doctor: Mapping[str, Sequence[str]]
    plots: Sequence[tuple[Plot, Sequence[str]]]
    best: Detail | None
    commands: Mapping[str, str]

    @property
    def title(self) -> str:
        """Heading of the page."""
        run = self.best.run if self.best else self.board.runs[0]
        return heading(self.board.runs, run.record.data or "")

    @property
    def several(self) -> bool:
        """Whether the page compares entries."""
        return len(self.rows) > 1

    @property
    def repeated(self) -> bool:
        """Whether an experiment has repetitions."""
        return any(row.entry.repeated for row in self.rows)

    @property
    def measures(self) -> list[str]:
        """Names of the leaderboard's figures."""
        return [named(metric) for metric in (self.board.objective, *MEASURED)]

    @property
    def leaks(self) -> list[str]:
        """Reasons why runs are leaky."""
        return sorted({run.record.leaks for run in self.board.runs if run.record.leaks})

    @property
    def too_good(self) -> list[str]:
        """Reasons why scores cannot be believed."""
        return sorted({run.record.too_good for run in self.board.runs if run.record.too_good})


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
    page = Page(
        folder=folder,
        board=board,
        cards=verdict(board),
        rows=list(_rows(board, folder)),
        doctor={name: lines for name, run in zip(board.names, board.runs, strict=True) if (lines := findings(run))},
        plots=_draw(board, folder),
        best=_detail(*board.scored[0]) if board.scored else None,
        commands={name: command(run) for name, run in zip(board.names, board.runs, strict=True)},
    )
    write_page(folder / "report.html", "report.html", title=page.title, page=page, dashes=DASHES)
    if len(runs) > 1:
        write_text(folder / "sweep.md", leaderboard(board))


def _rows(board: Board, folder: Path) -> Iterator[Row]:
    """Yield the rows of the leaderboard."""
    several = len(board.entries) > 1
    for entry, difference in zip(board.entries, differences(board), strict=True):
        page = entry.runs[0].folder / "report.html"
        link = ""
        if not entry.repeated and page.is_file() and page.parent.absolute() != folder.absolute():
            link = quote(Path(os.path.relpath(page, folder)).as_posix())
        yield Row(
            job=entry.label if several else "this run",
            link=link,
            entry=entry,
            figures=[figure(entry, metric) for metric in (board.objective, *MEASURED)],
            difference=difference,
            seconds=seconds(entry),
        )


def _detail(label: str, run: Run) -> Detail:
    """Return the details of a run."""
    return Detail(
        label=label,
        run=run,
        settings=choices(run),
        audit=audit_of(run),
        pictures=list(_pictures(run)),
        mistakes=_mistakes(run),
        stress=by_change(read_stress(run.folder)),
    )


def command(run: Run) -> str:
    """Return the command that repeats a run."""
    verb_name = "eval" if any(override.startswith("checkpoint=") for override in run.overrides) else "train"
    options = list(run.overrides)
    if any(override.startswith(("experiment=", "hparams_search=")) for override in run.overrides):
        options.append("hydra.mode=RUN")  # these experiments sweep; the overrides hold the options of this one job
    return f"{program(verb_name)} {shlex.join(options)}".rstrip()


def _draw(board: Board, folder: Path) -> list[tuple[Plot, list[str]]]:
    """Write the figures, and return each with the images that the page shows of it."""
    drawn = []
    for plot in plots(board):
        path = folder / "figures" / f"{plot.name}.png"
        if not _is_current(path, folder, board.runs):
            save(plot.draw(), path)
        images = [_image(draw()) for draw in plot.parts] if plot.parts else [embed(path)]
        drawn.append((plot, images))
    if len(board.runs) > 1:  # figures that compare runs stand before those with an image per run
        drawn.sort(key=lambda pair: len(pair[1]) > 1)
    return drawn


def _is_current(path: Path, folder: Path, runs: Sequence[Run]) -> bool:
    """Return whether a run's figure is newer than its results: the media callback draws it after the test."""
    results = folder / "predictions.csv"
    alone = len(runs) == 1 and runs[0].folder.resolve() == folder.resolve()
    return alone and path.is_file() and path.stat().st_mtime_ns >= results.stat().st_mtime_ns


def _image(figure: Figure) -> str:
    """Return a figure as a data URL."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=DPI)
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"


def _pictures(run: Run) -> Iterator[tuple[str, str, bool]]:
    """Yield title and image of each figure that only the run's test could draw, and whether it shows faces."""
    drawn_from_files = {make.__name__ for make in FIGURES} | {"confusion_matrix"}
    for path in sorted((run.folder / "figures").glob("*.png")):
        if path.stem not in drawn_from_files:
            yield TITLES.get(path.stem, path.stem.replace("_", " ")), embed(path), path.stem == "augmentation"


def _mistakes(run: Run) -> list[dict[str, Any]]:
    """Return the content of a run's mistakes.json; empty without the file."""
    path = run.folder / "mistakes.json"
    return json.loads(path.read_text(encoding="utf-8"))["mistakes"] if path.is_file() else []
