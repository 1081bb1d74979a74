"""report.html: one page about some runs, written after every job and by ``python -m fer_lightning report``."""

import base64
import io
import json
import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from matplotlib.figure import Figure

from fer_lightning.config.verbs import program, verb
from fer_lightning.files import write_text
from fer_lightning.report.doctor import findings
from fer_lightning.report.figures import FIGURES, Plot, plots
from fer_lightning.report.heading import choices, heading
from fer_lightning.report.html import embed, write_page
from fer_lightning.report.ranking import Board, Entry, gather, rank_runs
from fer_lightning.report.slices import Slice, read_slices
from fer_lightning.report.snapshots import TITLES
from fer_lightning.report.stress import by_change, read_stress
from fer_lightning.report.style import DPI, class_colors, save
from fer_lightning.report.tables import figure, leaderboard, seconds
from fer_lightning.report.verdict import Card, differences, verdict
from fer_lightning.report.yardsticks import audit_of, in_words
from fer_lightning.runs.record import Run, Status
from fer_lightning.words import named

DASHES = {"-": "", "--": "7 3", ":": "2 3", "-.": "8 3 2 3"}  # line of matplotlib -> stroke-dasharray of SVG


class Row(NamedTuple):
    """A row of the leaderboard, as text."""

    entry: Entry
    job: str
    link: str  # to the run's own page, or ""
    classes: str  # of CSS
    figures: list[tuple[str, str]]  # each with its uncertainty
    difference: tuple[str, str]  # from the best, with its interval
    seconds: str


class Best(NamedTuple):
    """The best run in detail."""

    label: str
    run: Run
    settings: str
    audit: dict[str, Any]  # content of audit.json
    published: str  # accuracies that others reach on these faces
    pictures: list[tuple[str, str, bool]]  # title, image, whether it shows faces
    mistakes: list[dict[str, Any]]
    colors: dict[str, str]  # class -> colour
    stress: dict[str, list[Any]]  # change -> outcomes
    slices: list[Slice]


@dataclass(frozen=True)
class Page:
    """The content of report.html: the ranked runs, seen from the folder of the page."""

    folder: Path
    board: Board

    @property
    def title(self) -> str:
        """Heading of the page."""
        run = self.best.run if self.best else self.board.runs[0]
        return heading(self.board.runs, run.record.data or "")

    @property
    def several(self) -> bool:
        """Return whether the page compares entries."""
        return len(self.board.entries) > 1

    @property
    def repeated(self) -> bool:
        """Return whether an experiment has repetitions."""
        return any(entry.repeated for entry in self.board.entries)

    @cached_property
    def cards(self) -> list[Card]:
        """The verdict."""
        return verdict(self.board)

    @property
    def leaks(self) -> list[str]:
        """Reasons why runs are leaky."""
        return sorted({run.record.leaks for run in self.board.runs if run.record.leaks})

    @property
    def too_good(self) -> list[str]:
        """Reasons why scores cannot be believed."""
        return sorted({run.record.too_good for run in self.board.runs if run.record.too_good})

    @property
    def measures(self) -> list[str]:
        """Names of the figures of a row."""
        return [named(metric) for metric in self.board.metrics]

    @property
    def rows(self) -> Iterator[Row]:
        """The leaderboard."""
        for entry, difference in zip(self.board.entries, differences(self.board), strict=True):
            classes = ["leaky"] if entry.leaky else []
            if entry.status != Status.COMPLETED:
                classes.append(entry.status)
            if difference[0] == "best":
                classes.append("best")
            yield Row(
                entry=entry,
                job=entry.label if self.several else "this run",
                link=self._link(entry),
                classes=" ".join(classes),
                figures=[figure(entry, metric) for metric in self.board.metrics],
                difference=difference,
                seconds=seconds(entry),
            )

    def _link(self, entry: Entry) -> str:
        page = entry.runs[0].folder / "report.html"
        if entry.repeated or not page.is_file() or page.parent.absolute() == self.folder.absolute():
            return ""
        return quote(Path(os.path.relpath(page, self.folder)).as_posix())

    @cached_property
    def doctor(self) -> dict[str, list[str]]:
        """Name of a run -> its faults."""
        faults = {name: findings(run) for name, run in zip(self.board.names, self.board.runs, strict=True)}
        return {name: lines for name, lines in faults.items() if lines}

    @cached_property
    def plots(self) -> list[tuple[Plot, list[str]]]:
        """The figures, each with its images; writes their files."""
        drawn = []
        for plot in plots(self.board):
            path = self.folder / "figures" / f"{plot.name}.png"
            if not self._is_current(path):
                save(plot.draw(), path)
            drawn.append((plot, [_image(draw()) for draw in plot.parts] or [embed(path)]))
        if len(self.board.runs) > 1:  # figures that compare runs stand before those with an image per run
            drawn.sort(key=lambda pair: len(pair[1]) > 1)
        return drawn

    def _is_current(self, path: Path) -> bool:
        """Return whether a run's figure is newer than its results: the media callback draws it after the test."""
        results = self.folder / "predictions.csv"
        alone = len(self.board.runs) == 1 and self.board.runs[0].folder.resolve() == self.folder.resolve()
        return alone and path.is_file() and path.stat().st_mtime_ns >= results.stat().st_mtime_ns

    @cached_property
    def best(self) -> Best | None:
        """The best run that was tested."""
        if not self.board.scored:
            return None
        label, run = self.board.scored[0]
        audit, mistakes = audit_of(run), run.folder / "mistakes.json"
        return Best(
            label=label,
            run=run,
            settings=choices(run),
            audit=audit,
            published=in_words(run),
            pictures=list(_pictures(run)),
            mistakes=json.loads(mistakes.read_text(encoding="utf-8"))["mistakes"] if mistakes.is_file() else [],
            colors=class_colors(run.classes),
            stress=by_change(read_stress(run.folder, run.record.weights)),
            slices=read_slices(run.folder),
        )

    @property
    def commands(self) -> dict[str, str]:
        """Name of a run -> the command that repeats it."""
        return {name: command(run) for name, run in zip(self.board.names, self.board.runs, strict=True)}


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
    page = Page(folder, rank_runs(runs))
    write_page(folder / "report.html", "report.html", title=page.title, page=page, dashes=DASHES)
    if len(runs) > 1:
        write_text(folder / "sweep.md", leaderboard(page.board))


def command(run: Run) -> str:
    """Return the command that repeats a run."""
    name = "eval" if any(override.startswith("checkpoint=") for override in run.overrides) else "train"
    options = list(run.overrides)
    if run.record.predictions:
        name, options = "score", (run.record.overrides or "").split()
    if any(override.startswith(("experiment=", "hparams_search=")) for override in run.overrides):
        options.append("hydra.mode=RUN")  # these experiments sweep; the overrides hold the options of this one job
    return f"{program(name)} {shlex.join(options)}".rstrip()


def _pictures(run: Run) -> Iterator[tuple[str, str, bool]]:
    """Yield title and image of each figure that only the run's test could draw, and whether it shows faces."""
    drawn_from_files = {make.__name__ for make in FIGURES} | {"confusion_matrix"}
    for path in sorted((run.folder / "figures").glob("*.png")):
        if path.stem not in drawn_from_files:
            yield TITLES.get(path.stem, path.stem.replace("_", " ")), embed(path), path.stem == "augmentation"


def _image(figure: Figure) -> str:
    """Return a figure as a data URL."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=DPI)
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"
