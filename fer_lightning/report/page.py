"""Reports of runs and sweeps, one page each, written after every job and by ``python -m fer_lightning report``."""

import base64
import io
import json
import os
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

from matplotlib.figure import Figure

from fer_lightning.config.verbs import program, verb
from fer_lightning.files import write_text
from fer_lightning.report.board import board
from fer_lightning.report.doctor import diagnose
from fer_lightning.report.heading import choices, heading
from fer_lightning.report.html import embed, write_page
from fer_lightning.report.leaderboard import Contender, behind, distinguish, leaderboard, verdict
from fer_lightning.report.looks import class_colors
from fer_lightning.report.plots import Plot, plots
from fer_lightning.report.stress import by_change, read_stress
from fer_lightning.report.style import DPI, save
from fer_lightning.report.table import MEASURED, figure, gather, seconds
from fer_lightning.report.yardsticks import FER2013_TEXT, audit_of, of_fer2013
from fer_lightning.runs.record import Run
from fer_lightning.words import named

TITLES = {  # of figures that are drawn during the test
    "augmentation": "Faces as they are and as training sees them (the paper's figures 2 and 7)",
    "embeddings_pca": "Map of the test embeddings, PCA",
    "embeddings_tsne": "Map of the test embeddings, t-SNE",
    "embeddings_umap": "Map of the test embeddings, UMAP",
}
DASHES = {"-": "", "--": "7 3", ":": "2 3", "-.": "8 3 2 3"}  # a line of matplotlib's -> an SVG's


@verb(
    "report",
    "write report.html and figures/ of runs and sweeps again",
    {
        "folders": {"nargs": "+", "metavar": "FOLDER", "help": "folder of a run or of a sweep"},
        "--output": {"help": "folder of the report; the first FOLDER unless given"},
    },
)
def report(folders: Sequence[Path], output: Path | None) -> None:
    """Write the report of the runs in or below some folders, and say where.

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
    found = board(runs)
    best = found.scored[0][1] if found.scored else None
    audit = audit_of(best) if best else {}
    data = (best or runs[0]).record.data or ""
    drawn = [(plot, _images(plot, folder, runs)) for plot in plots(found)]
    if len(runs) > 1:  # what compares runs comes before what shows each
        drawn.sort(key=lambda one: len(one[1]) > 1)
    labelled = list(zip(distinguish(found.runs), found.runs, strict=True))
    write_page(
        folder / "report.html",
        "report.html",
        title=heading(found.runs, data),
        settings=choices(best) if best else "",
        folder=folder.absolute().name,
        published=FER2013_TEXT if of_fer2013(audit) else "",
        best=best,
        best_label=found.scored[0][0] if found.scored else "",
        cards=verdict(found.entries, found.objective),
        leaks=sorted({run.record.leaks for run in runs if run.record.leaks}),
        too_good=sorted({run.record.too_good for run in runs if run.record.too_good}),
        measures=[named(name) for name in (found.objective, *MEASURED)],
        rows=list(_rows(found.entries, found.objective, folder)),
        several=len(found.entries) > 1,
        repeated=any(len(entry.runs) > 1 for entry in found.entries),
        findings=[(label, lines) for label, run in labelled if (lines := diagnose(run))],
        plots=drawn,
        dashes=DASHES,
        pictures=list(_pictures(best)) if best else [],
        mistakes=_mistakes(best) if best else [],
        colors=class_colors(best.classes) if best else {},
        audit=audit,
        stress=by_change(read_stress(best.folder)) if best else {},
        commands=[(label, command(run)) for label, run in labelled],
    )
    if len(runs) > 1:
        write_text(folder / "sweep.md", leaderboard(found.entries, found.objective))


def _rows(entries: Sequence[Contender], objective: str, folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of the table as text: repeated runs as means first, then every run."""
    for (label, runs, row), difference in zip(entries, behind(entries, objective), strict=True):
        page = runs[0].folder / "report.html"
        own = page.is_file() and page.parent.absolute() != folder.absolute() and len(runs) == 1
        yield {
            "job": label if len(entries) > 1 else "this run",
            "page": quote(Path(os.path.relpath(page, folder)).as_posix()) if own else "",
            "kind": " ".join(
                (["leaky"] if row.get("leaks") else []) + ([row["status"]] if row["status"] != "completed" else [])
            ),
            "status": row["status"],
            "leaky": bool(row.get("leaks")),
            "figures": [figure(row, name) for name in (objective, *MEASURED)],
            "behind": difference,
            "seconds": seconds(row),
            "protocol": row.get("protocol", ""),
            "error": row.get("error", ""),
        }


def command(run: Run) -> str:
    """Return the command that repeats a run."""
    name = "eval" if any(override.startswith("checkpoint=") for override in run.overrides) else "train"
    # These make a sweep of one run: what they sweep stands among the overrides, the rest is theirs to say.
    sweeping = any(override.startswith(("experiment=", "hparams_search=")) for override in run.overrides)
    options = [*run.overrides, "hydra.mode=RUN"] if sweeping else run.overrides
    return f"{program(name)} {shlex.join(options)}".rstrip()


def _images(plot: Plot, folder: Path, runs: Sequence[Run]) -> list[str]:
    """Write a figure's files unless they show these results already; return the images that the page shows of it."""
    path = folder / "figures" / f"{plot.name}.png"
    if not _drawn(path, folder, runs):
        save(plot.draw(), path)
    if plot.parts:
        return [_image(draw()) for draw in plot.parts]
    return [embed(path)]


def _drawn(path: Path, folder: Path, runs: Sequence[Run]) -> bool:
    """Return whether a run's own figure is newer than its results: the media callback draws it after the test."""
    results = folder / "predictions.csv"
    alone = len(runs) == 1 and runs[0].folder.resolve() == folder.resolve()
    return alone and path.is_file() and path.stat().st_mtime_ns >= results.stat().st_mtime_ns


def _pictures(run: Run) -> Iterator[tuple[str, str, bool]]:
    """Yield title and image of a run's other figures, which only its test could draw, and whether it shows faces."""
    others = {plot.name for plot in plots(board([run]))}
    for path in sorted((run.folder / "figures").glob("*.png")):
        if path.stem not in others:
            yield TITLES.get(path.stem, path.stem.replace("_", " ")), embed(path), path.stem == "augmentation"


def _image(figure: Figure) -> str:
    """Return a figure as the address of an image inside a page."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=DPI)
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"


def _mistakes(run: Run) -> list[dict[str, Any]]:
    """Return the content of a run's mistakes.json; nothing without the file."""
    path = run.folder / "mistakes.json"
    return json.loads(path.read_text(encoding="utf-8"))["mistakes"] if path.is_file() else []
