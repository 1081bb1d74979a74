"""Content for W&B: figures and tables of a run, the closing run of a sweep; on demand a saved view and a report."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import wandb
from omegaconf import DictConfig
from PIL import Image

from fer_lightning.config.verbs import verb
from fer_lightning.errors import UserError, install_command
from fer_lightning.report.figures import FIGURES
from fer_lightning.report.ranking import MEASURED, option_scores, rank_runs
from fer_lightning.report.statistics import f1_per_class
from fer_lightning.report.tables import sweep_table
from fer_lightning.runs.record import Status, read_runs

SECTIONS = {  # of the saved view: title -> metrics, one panel each
    "Scores": ("val/accuracy", "val/macro_f1", "val/accuracy_quick"),
    "Training": ("train/loss", "train/active_share", "train/spread", "train/learning_rate"),
    "Distances": ("train/positive_distance", "train/negative_distance", "train/violated_share"),
}


def images(section: str, pictures: Iterable[Path]) -> dict[str, Any]:
    """Return PNG files as images of W&B, named after a section of its workspace."""
    return {f"{section}/{path.stem}": wandb.Image(str(path)) for path in pictures}


def run_tables(
    classes: Sequence[str],
    confusion: np.ndarray,
    findings: Mapping[str, float],
    mistakes: Sequence[Mapping[str, Any]],
    neighbours: int,
) -> dict[str, Any]:
    """Return the tables of a tested run; ``mistakes`` are those of mistakes.json, with columns for ``neighbours``."""
    return {
        "tables/per_class": per_class_table(classes, confusion),
        "tables/confusion": confusion_table(classes, confusion),
        "tables/audit": wandb.Table(["finding", "number"], [list(finding) for finding in findings.items()]),
        "tables/mistakes": mistakes_table(mistakes, neighbours),
    }


def mistakes_table(mistakes: Sequence[Mapping[str, Any]], neighbours: int) -> wandb.Table:
    """Return the worst mistakes: face, label, prediction, vote, neighbours."""
    columns: list[str | int] = ["file", "face", "label", "prediction", "vote"]
    columns += [f"neighbour {number}" for number in range(1, neighbours + 1)]
    rows = []
    for mistake in mistakes:
        face = _picture(mistake["png"])
        row = [mistake["file"], face, mistake["label"], mistake["prediction"], mistake["vote"]]
        for neighbour in mistake["neighbours"]:
            caption = f"{neighbour['label']} {neighbour['similarity']:.3f}"
            row.append(_picture(neighbour["png"], caption))
        rows.append(row + [None] * (len(columns) - len(row)))
    return wandb.Table(columns, rows)


def _picture(png: str, caption: str | None = None) -> wandb.Image:
    """Return a PNG file in base64 as an image of W&B."""
    return wandb.Image(Image.open(BytesIO(base64.b64decode(png))), caption=caption)


def per_class_table(classes: Sequence[str], confusion: np.ndarray) -> wandb.Table:
    """Return precision, recall, F1 and number of faces per class."""
    right, true, predicted = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    precision, recall = right / np.maximum(predicted, 1), right / np.maximum(true, 1)
    columns = np.stack([precision, recall, f1_per_class(confusion), true], axis=1).astype(float)
    rows = [[name, *row] for name, row in zip(classes, columns.tolist(), strict=True)]
    return wandb.Table(["class", "precision", "recall", "f1", "faces"], rows)


def confusion_table(classes: Sequence[str], confusion: np.ndarray) -> wandb.Table:
    """Return the confusion matrix as rows: label, prediction, faces, share of the label."""
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    rows = [
        [classes[label], classes[prediction], int(count), float(shares[label, prediction])]
        for (label, prediction), count in np.ndenumerate(confusion)
    ]
    return wandb.Table(["label", "prediction", "faces", "share"], rows)


def log_sweep(folder: Path, config: DictConfig) -> None:
    """Log a finished sweep as one more run of its W&B group: leaderboard, figures, objective against each option."""
    objective, jobs = config.objective, read_runs(folder)
    board = rank_runs(jobs, objective)
    logger = config.logger.wandb
    with wandb.init(
        entity=logger.entity,
        project=logger.project,
        group=logger.group,
        name=f"sweep {folder.name}",
        job_type="sweep",
        dir=str(folder),
        mode=logger.mode,
        settings=wandb.Settings(silent=True),
    ) as run:
        header, rows = sweep_table(board)
        run.log({"sweep/leaderboard": wandb.Table([*header], rows)})
        run.log(images("sweep", sorted((folder / "figures").glob("*.png"))))
        for option, choices in option_scores(jobs, objective).items():
            means = [[choice, fmean(scores)] for choice, scores in choices.items()]  # W&B stacks bars of equal name
            table = wandb.Table([option, objective], means)
            bars = wandb.plot.bar(table, option, objective, title=f"mean {objective} by {option}")
            run.log({f"sweep/by_{option}": bars})
        honest = [job.figures for job in board.runs if not job.record.leaks and objective in job.figures]
        if honest:
            metrics = [metric for metric in (objective, "test/accuracy") if metric in honest[0]]
            run.summary.update({f"best/{metric}": honest[0][metric] for metric in metrics})
        run.summary["sweep/jobs"] = len(jobs)
        run.summary["sweep/failed"] = sum(job.record.status == Status.FAILED for job in jobs)


def saved_view(entity: str, project: str, sweep: str) -> Any:
    """Return an unsaved workspace with the runs of one sweep."""
    import wandb_workspaces.reports.v2 as reports
    import wandb_workspaces.workspaces as workspaces

    bars = [reports.BarPlot(title=metric, metrics=[metric]) for metric in MEASURED]
    sections = [workspaces.Section(name="Test", panels=bars, is_open=True)]
    for title, metrics in SECTIONS.items():
        lines = [reports.LinePlot(title=metric, x="Step", y=[metric]) for metric in metrics]
        sections.append(workspaces.Section(name=title, panels=lines, is_open=True))
    media = reports.MediaBrowser(media_keys=["media/confusion_matrix", "media/embeddings_tsne"])
    sections.append(workspaces.Section(name="Pictures", panels=[media]))
    return workspaces.Workspace(
        entity=entity,
        project=project,
        name=f"sweep {sweep}",
        sections=sections,
        runset_settings=workspaces.RunsetSettings(filters=f"Metric('Group') == '{sweep}'"),
    )


def sweep_report(entity: str, project: str, sweep: str) -> Any:
    """Return an unsaved W&B report of one sweep."""
    import wandb_workspaces.reports.v2 as reports

    runset = reports.Runset(entity=entity, project=project, name=sweep, filters=f"Metric('Group') == '{sweep}'")
    closing = reports.Runset(
        entity=entity,
        project=project,
        name=f"leaderboard of {sweep}",
        filters=f"Metric('Group') == '{sweep}' and Metric('JobType') == 'sweep'",
    )
    figures = [f"sweep/{make.__name__}" for make in FIGURES]
    leaderboard = [
        reports.WeavePanelSummaryTable(table_name="sweep/leaderboard", layout=reports.Layout(w=24, h=8)),
        reports.MediaBrowser(media_keys=figures, num_columns=2, layout=reports.Layout(y=8, w=24, h=16)),
    ]
    panels = [reports.BarPlot(title=metric, metrics=[metric]) for metric in MEASURED]
    panels += [reports.WeavePanelSummaryTable(table_name=f"tables/{name}") for name in ("per_class", "mistakes")]
    panels += [
        reports.LinePlot(title=metric, x="Step", y=[metric]) for metrics in SECTIONS.values() for metric in metrics
    ]
    return reports.Report(
        entity=entity,
        project=project,
        title=f"Sweep {sweep}",
        description="Honest and leaky protocols are told apart by the field `faces.leaks` of each run's configuration.",
        blocks=[
            reports.H2("Leaderboard"),
            reports.PanelGrid(runsets=[closing], panels=leaderboard),
            reports.H2("Scores on the test faces, then curves against the step"),
            reports.PanelGrid(runsets=[runset], panels=panels),
        ],
    )


@verb(
    "dashboard",
    "make a view and a report of a sweep in W&B (extra dashboard)",
    {
        "project": {"metavar": "ENTITY/PROJECT"},
        "sweep": {"metavar": "SWEEP", "help": "name of the sweep's folder, which is its W&B group"},
    },
)
def dashboard(project: str, sweep: str) -> None:
    """Save a view and a report of a sweep in W&B, and print their addresses."""
    entity, _, name = project.partition("/")
    if not name:
        raise UserError(f"{project} is no ENTITY/PROJECT: write your W&B account before the project")
    try:
        pages = saved_view(entity, name, sweep), sweep_report(entity, name, sweep)
    except ImportError as error:
        raise UserError(f"the dashboard needs wandb-workspaces: {install_command('dashboard')}") from error
    for page in pages:
        print(page.save().url)
