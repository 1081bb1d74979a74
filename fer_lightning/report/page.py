"""Reports of runs and sweeps, one page each: python -m fer_lightning.report.page FOLDER ... (and after every job)."""

import argparse
import base64
import io
import json
import os
import shlex
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from matplotlib.figure import Figure

from fer_lightning.errors import UserError
from fer_lightning.report import figures, leaderboard
from fer_lightning.report.doctor import diagnose
from fer_lightning.report.html import embed, write_page
from fer_lightning.report.leaderboard import (
    NAMES,
    Contender,
    behind,
    contenders,
    distinguish,
    majority,
    markdown,
    verdict,
)
from fer_lightning.report.statistics import f1_per_class
from fer_lightning.report.table import MEASURED, experiment
from fer_lightning.runs.files import write_text
from fer_lightning.runs.record import Run, read_runs

MATRICES = 9  # confusion matrices on a page: those of the best runs; the leaderboard holds every run
LINES = 8  # runs whose curves and bars share a figure
SCORES = 40  # rows of the figure of scores


class Plot(NamedTuple):
    """A figure of the page: name of its files, title, explanation, the whole, and the parts that the page shows."""

    name: str
    title: str
    text: str
    figure: Figure
    parts: Sequence[Figure] = ()


def write_report(folder: Path, runs: Sequence[Run]) -> None:
    """Write ``report.html`` and ``figures/`` about some runs into a folder, and ``sweep.md`` about several."""
    objective = next((run.metrics["objective"] for run in runs if "objective" in run.metrics), "val/accuracy")
    runs = leaderboard.order(runs, objective)
    labels = distinguish(runs)
    entries = contenders(runs, objective)
    scored = [(label, run) for label, run in zip(labels, runs, strict=True) if run.predictions]
    best = scored[0][1] if scored else None
    data = best.metrics.get("data") if best else None
    plots = []
    for plot in _plots(entries, scored, objective):
        figures.save(plot.figure, folder / "figures" / plot.name)
        plots.append((plot.title, plot.text, [_image(part) for part in plot.parts or [plot.figure]], bool(plot.parts)))
    write_page(
        folder / "report.html",
        "report.html",
        title=f"{len(runs)} run{'s' if len(runs) > 1 else ''}{f' on {data}' if data else ''}",
        folder=folder.absolute().name,
        best=best,
        best_label=scored[0][0] if scored else "",
        cards=verdict(entries, objective),
        leaks=sorted({run.metrics["leaks"] for run in runs if run.metrics.get("leaks")}),
        too_good=sorted({run.metrics["too_good"] for run in runs if "too_good" in run.metrics}),
        objective=objective,
        measures=[NAMES[name] for name in MEASURED],
        rows=list(_rows(entries, objective, folder)),
        several=len(entries) > 1,
        repeated=any(len(entry.runs) > 1 for entry in entries),
        findings=[(label, found) for label, run in zip(labels, runs, strict=True) if (found := diagnose(run))],
        plots=plots,
        pictures=list(_pictures(best)) if best else [],
        mistakes=_json(best.folder / "mistakes.json").get("mistakes", []) if best else [],
        colors=figures.COLORS,
        audit=_json(best.folder / "audit.json") if best else {},
        commands=[(label, command(run)) for label, run in zip(labels, runs, strict=True)],
    )
    if len(runs) > 1:
        write_text(folder / "sweep.md", markdown(entries, objective))


def _rows(entries: Sequence[Contender], objective: str, folder: Path) -> Iterator[dict[str, Any]]:
    """Yield the rows of the table as text: repeated runs as means first, then every run."""
    for (label, runs, row), difference in zip(entries, behind(entries, objective), strict=True):
        page = runs[0].folder / "report.html"
        own = page.is_file() and page.parent.absolute() != folder.absolute() and len(runs) == 1
        yield {
            "job": label,
            "page": quote(Path(os.path.relpath(page, folder)).as_posix()) if own else "",
            "kind": " ".join(
                (["leaky"] if row.get("leaks") else []) + ([row["status"]] if row["status"] != "completed" else [])
            ),
            "status": row["status"],
            "leaky": bool(row.get("leaks")),
            "figures": [leaderboard.figure(row, name) for name in (objective, *MEASURED)],
            "behind": difference,
            "seconds": leaderboard.seconds(row),
            "protocol": row.get("protocol", ""),
            "error": row.get("error", ""),
        }


def command(run: Run) -> str:
    """Return the command that repeats a run."""
    script = "eval.py" if any(override.startswith("checkpoint=") for override in run.overrides) else "train.py"
    # These make a sweep of one run: what they sweep stands among the overrides, the rest is theirs to say.
    sweeping = any(override.startswith(("experiment=", "hparams_search=")) for override in run.overrides)
    return shlex.join(["python", script, *run.overrides, *(["hydra.mode=RUN"] if sweeping else [])])


def _plots(entries: Sequence[Contender], scored: Sequence[tuple[str, Run]], objective: str) -> Iterator[Plot]:
    """Yield the figures over all runs."""
    if not scored:
        return
    # Whole experiments where they were repeated: a glance at them says more than at every single run.
    repeated = [entry for entry in entries if len(entry.runs) > 1]
    shown = [entry for entry in repeated or entries if "test/accuracy" in entry.row]
    if len(shown) > 1:
        dots = "each dot a run, the bar their mean" if repeated else "95 % intervals of single runs"
        name, share = majority(scored[0][1])
        leaky = "; hollow: leaky" if any(entry.leaky for entry in shown) else ""
        yield Plot(
            "scores",
            "Scores",
            f"Accuracy on the test faces: {dots}{leaky}. The dotted line: always answering {name}.",
            figures.scores([_score(entry) for entry in shown[:SCORES]], share),
        )
    few = scored[:LINES]
    of = f" of the {LINES} best runs" if len(scored) > LINES else ""
    if any(run.history for _, run in few):
        names = [experiment(" ".join(run.overrides)) or label for label, run in few]
        kinds = [list(dict.fromkeys(names)).index(name) for name in names]
        yield Plot(
            "training_graphs",
            f"Training graphs{of}",
            "The paper's figure 5; series of 200 values and more as running means over a fortieth of them.",
            figures.curves({label: run.history for label, run in few}, kinds),
        )
    if values := option_scores([run for _, run in scored], objective):
        yield Plot(
            "options",
            "Options",
            "Each point is a run that does not leak, a dash the mean of a choice.",
            figures.options(values, objective),
        )
    matrices = {label: run.confusion for label, run in scored[:MATRICES]}
    yield Plot(
        "confusion_matrices" if len(matrices) > 1 else "confusion_matrix",
        f"Confusion matrices{f' of the {MATRICES} best runs' if len(scored) > MATRICES else ''}",
        "The paper's figure 6: which expression is taken for which.",
        figures.confusion(matrices),
        [figures.confusion({label: matrix}) for label, matrix in matrices.items()],
    )
    yield Plot(
        "per_class",
        f"F1 per class{of}",
        "The harmonic mean of a class's precision and recall.",
        figures.per_class({label: f1_per_class(run.confusion) for label, run in few}, "F1"),
    )


def _score(entry: Contender) -> tuple[str, list[float], tuple[float, float] | None, bool]:
    accuracies = [run.metrics["test/accuracy"] for run in entry.runs]
    ends = [entry.row.get(f"test/accuracy_{end}") for end in ("low", "high")]
    return entry.label, accuracies, None if len(entry.runs) > 1 or None in ends else tuple(ends), entry.leaky


def option_scores(runs: Sequence[Run], objective: str) -> dict[str, tuple[list[str], list[float]]]:
    """Return option -> (choices, scores) for options that differ between runs and are given in every one.

    Leaky runs are left out, unless there are no others.
    """
    found: dict[str, list[tuple[str, float]]] = defaultdict(list)
    runs = [run for run in runs if objective in run.metrics]
    runs = [run for run in runs if not run.metrics.get("leaks")] or runs
    for run in runs:
        for override in run.overrides:
            key, _, value = override.partition("=")
            found[key].append((value, run.metrics[objective]))
    return {
        key: tuple(map(list, zip(*points, strict=True)))
        for key, points in found.items()
        if len(points) == len(runs) and len({value for value, _ in points}) > 1
    }


def _pictures(run: Run) -> Iterator[tuple[str, str]]:
    titles = {
        "augmentation": "Faces as they are and as training sees them (the paper's figures 2 and 7)",
        "embeddings_pca": "Map of the test embeddings, PCA",
        "embeddings_tsne": "Map of the test embeddings, t-SNE",
        "embeddings_umap": "Map of the test embeddings, UMAP",
    }
    for name, title in titles.items():
        path = run.folder / "figures" / f"{name}.png"
        if path.is_file():
            yield title, embed(path)


def _image(figure: Figure) -> tuple[str, int]:
    """Return a figure as the address of an image inside a page, and the least width at which it can be read."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=120)
    address = f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"
    return address, round(66 * figure.get_figwidth())  # pixels; its letters of 8 to 9 points become 8 high


def _json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m fer_lightning.report.page", description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="folder of a run or of a sweep")
    parser.add_argument("--output", type=Path, help="folder of the report; the first FOLDER unless given")
    arguments = parser.parse_args()
    try:
        runs = {run.folder.resolve(): run for folder in arguments.folders for run in read_runs(folder)}
    except UserError as error:
        sys.exit(f"error: {error}")
    output = arguments.output or arguments.folders[0]
    output.mkdir(parents=True, exist_ok=True)
    write_report(output, list(runs.values()))
    print(f"written: {output}/report.html")


if __name__ == "__main__":
    main()
