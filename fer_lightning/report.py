"""Reports of runs and sweeps, one page each: python -m fer_lightning.report FOLDER ... (and after every job)."""

import argparse
import base64
import io
import json
import shlex
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from omegaconf import OmegaConf

from fer_lightning import figures
from fer_lightning.compare import compare_runs, differs, in_words
from fer_lightning.doctor import diagnose
from fer_lightning.errors import UserError
from fer_lightning.files import write_text
from fer_lightning.media import f1_per_class
from fer_lightning.pages import embed, write_page
from fer_lightning.runs import Run, read_runs
from fer_lightning.sweep import MEASURED, summarize

MATRICES = 9  # confusion matrices on a page: those of the best runs; the leaderboard holds every run
LINES = 8  # runs whose curves and bars share a figure
NAMES = {
    "test/accuracy": "accuracy",
    "test/balanced_accuracy": "balanced accuracy",
    "test/macro_f1": "macro F1",
    "test/accuracy_without_twins": "accuracy without twins",
    "test/one_vs_rest_accuracy": "one-vs-rest accuracy",
}


def write_report(folder: Path, runs: Sequence[Run]) -> None:
    """Write ``report.html`` about some runs into a folder, and ``sweep.md`` beside it where there are several."""
    objective = next((run.metrics["objective"] for run in runs if "objective" in run.metrics), "val/accuracy")
    runs = sorted(runs, key=lambda run: _rank(run, objective))
    labels = distinguish(runs)
    scored = [(label, run) for label, run in zip(labels, runs, strict=True) if run.predictions]
    best = scored[0][1] if scored else None
    rows = list(leaderboard(runs, labels, objective))
    write_page(
        folder / "report.html",
        "report.html",
        title=best.metrics.get("data", "runs") if best else "runs",
        runs=runs,
        rows=rows,
        objective=objective,
        measures=[NAMES[name] for name in MEASURED],
        verdict=verdict(scored, objective),
        leaks=sorted({run.metrics["leaks"] for run in runs if run.metrics.get("leaks")}),
        too_good=[run.metrics["too_good"] for run in runs if "too_good" in run.metrics],
        findings=[(label, found) for label, run in zip(labels, runs, strict=True) if (found := diagnose(run))],
        plots=list(_plots(scored, objective)),
        best=best,
        best_label=scored[0][0] if scored else "",
        pictures=list(_pictures(best)) if best else [],
        mistakes=_json(best.folder / "mistakes.json").get("mistakes", []) if best else [],
        audit=_json(best.folder / "audit.json") if best else {},
        commands=[(label, command(run)) for label, run in zip(labels, runs, strict=True)],
    )
    if len(runs) > 1:
        write_text(folder / "sweep.md", markdown(rows, objective))


def leaderboard(runs: Sequence[Run], labels: Sequence[str], objective: str) -> Iterator[dict[str, Any]]:
    """Yield the rows of the table as text: repeated runs as means first, then every run."""
    jobs = [
        {"job": label, "runs": 1, "status": "completed", "overrides": "", **run.metrics}
        for label, run in zip(labels, runs, strict=True)
    ]
    own = dict(zip(map(id, jobs), labels, strict=True))
    for row in [*summarize(jobs, objective), *jobs]:
        mean = row["status"] == "mean"
        yield {
            "job": _mean_label(row, jobs) if mean else own[id(row)],
            "status": row["status"],
            "kind": "leaky" if row.get("leaks") else "mean" if mean else "",
            "figures": [_figure(row, name) for name in (objective, *MEASURED)],
            "seconds": f"{row['elapsed_seconds']:,.0f}" if row.get("elapsed_seconds") is not None else "",
            "seed": "" if mean else str(row.get("settings", {}).get("seed", "")),
            "runs": row["runs"],
            "protocol": row.get("protocol", ""),
            "error": row.get("error", ""),
        }


def verdict(scored: Sequence[tuple[str, Run]], objective: str) -> str:
    """Return which run is best, by how much, and whether that means anything."""
    honest = [(label, run) for label, run in scored if not run.metrics.get("leaks")]
    if not scored:
        return "No run has been tested yet."
    if not honest:
        return "Every run here leaks: none of the figures says how well new faces would be classified."
    (first_label, first), *others = honest
    chosen = f" has the highest {objective} of the runs that do not leak and" if others else ""
    text = f"{first_label}{chosen} classifies {first.metrics['test/accuracy']:.2%} of the test faces rightly"
    if "test/accuracy_low" in first.metrics:
        low, high = (100 * first.metrics[f"test/accuracy_{end}"] for end in ("low", "high"))
        text += f", 95 % interval {low:.2f} to {high:.2f}"
    for second_label, second in others:
        try:
            result = compare_runs(first, second)
        except UserError:
            continue
        meaning = "tell the two apart" if differs(result) else "do not tell the two apart"
        return (
            f"{text}. Next comes {second_label}: the difference on the test faces is {in_words(result)}. These faces "
            f"{meaning}; the spread over seeds is not part of that test."
        )
    return f"{text}."


def distinguish(runs: Sequence[Run]) -> list[str]:
    """Return a short name for each run: the overrides that not all of them share, else the folder's name."""
    overrides = [_overrides(run) for run in runs]
    shared = set(overrides[0]).intersection(*overrides)
    labels = [" ".join(override for override in own if override not in shared) or "all defaults" for own in overrides]
    if len(runs) == 1 or len(set(labels)) < len(labels):
        return (
            [run.name for run in runs]
            if len({run.name for run in runs}) == len(runs)
            else [str(r.folder) for r in runs]
        )
    return labels


def command(run: Run) -> str:
    """Return the command that repeats a run."""
    script = "eval.py" if any(override.startswith("checkpoint=") for override in _overrides(run)) else "train.py"
    overrides = [o for o in _overrides(run) if not o.startswith(("experiment=paper_table", "hydra.sweep"))]
    return shlex.join(["python", script, *overrides])


def markdown(rows: Sequence[dict[str, Any]], objective: str) -> str:
    """Return the leaderboard as a table to paste into a paper."""
    header = ["job", "protocol", "runs", objective, *(NAMES[name] for name in MEASURED), "seconds"]
    lines = [header, ["---"] * len(header)]
    for row in rows:
        if row["status"] in ("completed", "mean"):
            protocol = f"{row['protocol']}{' (leaky)' if row['kind'] == 'leaky' else ''}"
            numbers = [f"{value} {uncertainty}".strip() for value, uncertainty in row["figures"]]
            lines.append([row["job"], protocol, str(row["runs"]), *numbers, row["seconds"]])
    note = (
        "One run: value (95 % bootstrap interval over groups of twins). Several: mean ± standard deviation. Accuracy "
        "is multiclass; one-vs-rest is the two-class accuracy averaged over the classes, the paper's equation 1."
    )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines) + f"\n\n{note}\n"


def _plots(scored: Sequence[tuple[str, Run]], objective: str) -> Iterator[tuple[str, str, str]]:
    """Yield title, explanation and image of the figures over all runs."""
    few = scored[:LINES]
    of = f" of the {LINES} best runs" if len(scored) > LINES else ""
    if any(run.history for _, run in few):
        yield (
            f"Training graphs{of}",
            "The paper's figure 5; long series as running means of 25 logged steps.",
            _image(figures.curves({label: run.history for label, run in few})),
        )
    if values := option_scores([run for _, run in scored], objective):
        yield "Options", "Each point is a run, a dash the mean of a choice.", _image(figures.options(values, objective))
    if scored:
        some = scored[:MATRICES]
        yield (
            f"Confusion matrices{f' of the {MATRICES} best runs' if len(scored) > MATRICES else ''}",
            "The paper's figure 6.",
            _image(figures.confusion({label: run.confusion for label, run in some})),
        )
        yield (
            f"F1 per class{of}",
            "",
            _image(figures.per_class({label: f1_per_class(run.confusion) for label, run in few}, "F1")),
        )


def option_scores(runs: Sequence[Run], objective: str) -> dict[str, tuple[list[str], list[float]]]:
    """Return option -> (choices, scores) for options that differ between runs and are given in every one."""
    found: dict[str, list[tuple[str, float]]] = defaultdict(list)
    runs = [run for run in runs if objective in run.metrics]
    for run in runs:
        for override in _overrides(run):
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


def _image(figure: Figure) -> str:
    """Return a figure as the address of an image inside a page."""
    content = io.BytesIO()
    figure.savefig(content, format="png", dpi=110)
    return f"data:image/png;base64,{base64.b64encode(content.getvalue()).decode()}"


def _figure(row: dict[str, Any], name: str) -> tuple[str, str]:
    """Return a figure and what it is uncertain by."""
    if not isinstance(row.get(name), float):
        return "", ""
    if f"{name}_sd" in row:
        return f"{row[name]:.4f}", f"± {row[f'{name}_sd']:.4f}"
    if f"{name}_low" in row:
        return f"{row[name]:.4f}", f"({row[f'{name}_low']:.4f} to {row[f'{name}_high']:.4f})"
    return f"{row[name]:.4f}", ""


def _mean_label(row: dict[str, Any], jobs: Sequence[dict[str, Any]]) -> str:
    shared = set(jobs[0]["overrides"].split()).intersection(*(job["overrides"].split() for job in jobs))
    own = " ".join(override for override in row["overrides"].split() if override not in shared)
    return f"mean of {row['runs']}: {own}".rstrip(": ")


def _overrides(run: Run) -> list[str]:
    path = run.folder / ".hydra" / "overrides.yaml"
    return [str(override) for override in OmegaConf.load(path)] if path.is_file() else []


def _json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}


def _rank(run: Run, objective: str) -> tuple[bool, bool, float]:
    score = run.metrics.get(objective)
    return score is None, bool(run.metrics.get("leaks")), -(score or 0.0)


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m fer_lightning.report", description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER", help="folder of a run or of a sweep")
    parser.add_argument("--output", type=Path, help="folder of the report; the first FOLDER unless given")
    arguments = parser.parse_args()
    try:
        runs = [run for folder in arguments.folders for run in read_runs(folder)]
    except UserError as error:
        sys.exit(f"error: {error}")
    output = arguments.output or arguments.folders[0]
    output.mkdir(parents=True, exist_ok=True)
    write_report(output, runs)
    print(f"written: {output}/report.html")


if __name__ == "__main__":
    main()
