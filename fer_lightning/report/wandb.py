"""What W&B is given: a run's figures and tables, a sweep's closing run, and on demand a saved view and a report."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import numpy as np
import wandb
from omegaconf import DictConfig

from fer_lightning.config.verbs import verb
from fer_lightning.errors import UserError, install_command
from fer_lightning.report.figures import FIGURES
from fer_lightning.report.html import unpng
from fer_lightning.report.ranking import MEASURED, Board, option_scores, rank_runs
from fer_lightning.report.statistics import f1_per_class
from fer_lightning.runs.record import Status, read_runs

SECTIONS = {  # of the saved view: title -> metrics, each a panel
    "Scores": ("val/accuracy", "val/macro_f1", "val/accuracy_quick"),
    "Training": ("train/loss", "train/active_share", "train/spread", "train/learning_rate"),
    "Distances": ("train/positive_distance", "train/negative_distance", "train/violated_share"),
}
BARS = ("test/accuracy", "test/balanced_accuracy", "test/macro_f1", "test/accuracy_without_twins")


def images(section: str, pictures: Iterable[Path]) -> dict[str, Any]:
    """Return PNG files as W&B's images, under the names of a section of its workspace."""
    return {f"{section}/{path.stem}": wandb.Image(str(path)) for path in pictures}


def run_tables(
    classes: Sequence[str],
    confusion: np.ndarray,
    findings: Mapping[str, float],
    mistakes: Sequence[Mapping[str, Any]],
    neighbours: int,
) -> dict[str, Any]:
    """Return the tables of a tested run.

    Args:
        classes: Names of the classes.
        confusion: (C, C) int64, rows true and columns predicted.
        findings: What the audit counted.
        mistakes: Content of mistakes.json.
        neighbours: Columns for the gallery faces beside each mistake.
    """
    return {
        "tables/per_class": per_class_table(classes, confusion),
        "tables/confusion": confusion_table(classes, confusion),
        "tables/audit": wandb.Table(["finding", "number"], [list(finding) for finding in findings.items()]),
        "tables/mistakes": mistakes_table(mistakes, neighbours),
    }


def mistakes_table(mistakes: Sequence[Mapping[str, Any]], neighbours: int) -> wandb.Table:
    """Return the worst mistakes as a W&B table: face, label, prediction, vote, neighbours."""
    columns: list[str | int] = ["file", "face", "label", "prediction", "vote"]
    columns += [f"neighbour {number}" for number in range(1, neighbours + 1)]
    rows = []
    for mistake in mistakes:
        near = [
            wandb.Image(unpng(near["png"]), caption=f"{near['label']} {near['similarity']:.3f}")
            for near in mistake["neighbours"]
        ]
        row = [mistake["file"], wandb.Image(unpng(mistake["png"])), mistake["label"], mistake["prediction"]]
        rows.append([*row, mistake["vote"], *near, *[None] * (neighbours - len(near))])
    return wandb.Table(columns, rows)


def per_class_table(classes: Sequence[str], confusion: np.ndarray) -> wandb.Table:
    """Return precision, recall, F1 and number of faces per class."""
    right, true, predicted = np.diag(confusion), confusion.sum(axis=1), confusion.sum(axis=0)
    precision, recall = right / np.maximum(predicted, 1), right / np.maximum(true, 1)
    rows = zip(classes, precision, recall, f1_per_class(confusion), true, strict=True)
    return wandb.Table(
        ["class", "precision", "recall", "f1", "faces"], [[row[0], *map(float, row[1:])] for row in rows]
    )


def confusion_table(classes: Sequence[str], confusion: np.ndarray) -> wandb.Table:
    """Return the confusion matrix as rows: label, prediction, faces, share of the label."""
    shares = confusion / np.maximum(confusion.sum(axis=1, keepdims=True), 1)
    return wandb.Table(
        ["label", "prediction", "faces", "share"],
        [
            [classes[label], classes[prediction], int(count), float(shares[label, prediction])]
            for (label, prediction), count in np.ndenumerate(confusion)
        ],
    )


def log_sweep(folder: Path, config: DictConfig) -> None:
    """Log a finished sweep as one more run of its W&B group: leaderboard, figures, objective against each option.

    Args:
        folder: The sweep's folder; its report has been written.
        config: Configuration of one of its jobs; names project, group and mode.
    """
    objective = config.objective
    runs = read_runs(folder)
    board = rank_runs(runs, objective)
    with wandb.init(
        entity=config.logger.wandb.entity,
        project=config.logger.wandb.project,
        group=config.logger.wandb.group,
        name=f"sweep {folder.name}",
        job_type="sweep",
        dir=str(folder),
        mode=config.logger.wandb.mode,
        settings=wandb.Settings(silent=True),
    ) as run:
        run.log({"sweep/leaderboard": leaderboard_table(board)})
        run.log(images("sweep", sorted((folder / "figures").glob("*.png"))))
        for option, (choices, scores) in option_scores(runs, objective).items():
            means = [
                [choice, fmean(score for other, score in zip(choices, scores, strict=True) if other == choice)]
                for choice in dict.fromkeys(choices)
            ]  # bars of equal name would be laid on top of each other
            bars = wandb.plot.bar(
                wandb.Table([option, objective], means), option, objective, title=f"mean {objective} by {option}"
            )
            run.log({f"sweep/by_{option}": bars})
        honest = [job.figures for job in board.runs if not job.record.leaks and objective in job.figures]
        if honest:
            best = honest[0]
            run.summary.update({f"best/{name}": best[name] for name in (objective, "test/accuracy") if name in best})
        run.summary["sweep/jobs"] = len(runs)
        run.summary["sweep/failed"] = sum(job.record.status == Status.FAILED for job in runs)


def leaderboard_table(board: Board) -> wandb.Table:
    """Return the leaderboard: means of repeated runs first, then every job."""
    metrics = [board.objective, *MEASURED, "test/accuracy_low", "test/accuracy_high"]
    rows = [
        [
            entry.label,
            str(entry.status),
            len(entry.runs),
            *(entry.figures.get(metric) for metric in metrics),
            entry.seconds,
            entry.record.leaks or "",
        ]
        for entry in board.entries
    ]
    return wandb.Table(["job", "status", "runs", *metrics, "elapsed_seconds", "leaks"], rows)


def saved_view(entity: str, project: str, sweep: str) -> Any:
    """Return a workspace of the runs of one sweep, not saved yet."""
    import wandb_workspaces.reports.v2 as reports
    import wandb_workspaces.workspaces as workspaces

    sections = [
        workspaces.Section(
            name=title,
            panels=[reports.LinePlot(title=metric, x="Step", y=[metric]) for metric in metrics],
            is_open=True,
        )
        for title, metrics in SECTIONS.items()
    ]
    test = workspaces.Section(
        name="Test", panels=[reports.BarPlot(title=metric, metrics=[metric]) for metric in BARS], is_open=True
    )
    media = workspaces.Section(
        name="Pictures", panels=[reports.MediaBrowser(media_keys=["media/confusion_matrix", "media/embeddings_tsne"])]
    )
    return workspaces.Workspace(
        entity=entity,
        project=project,
        name=f"sweep {sweep}",
        sections=[test, *sections, media],
        runset_settings=workspaces.RunsetSettings(filters=f"Metric('Group') == '{sweep}'"),
    )


def sweep_report(entity: str, project: str, sweep: str) -> Any:
    """Return a W&B report of one sweep, not saved yet."""
    import wandb_workspaces.reports.v2 as reports

    runset = reports.Runset(entity=entity, project=project, name=sweep, filters=f"Metric('Group') == '{sweep}'")
    closing = reports.Runset(
        entity=entity,
        project=project,
        name=f"leaderboard of {sweep}",
        filters=f"Metric('Group') == '{sweep}' and Metric('JobType') == 'sweep'",
    )
    board = [
        reports.WeavePanelSummaryTable(table_name="sweep/leaderboard", layout=reports.Layout(w=24, h=8)),
        reports.MediaBrowser(
            media_keys=[f"sweep/{make.__name__}" for make in FIGURES],
            num_columns=2,
            layout=reports.Layout(y=8, w=24, h=16),
        ),
    ]
    panels = [reports.BarPlot(title=metric, metrics=[metric]) for metric in BARS]
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
            reports.PanelGrid(runsets=[closing], panels=board),
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
    """Save a view and a report of a sweep in W&B and print their addresses.

    Args:
        project: ``ENTITY/PROJECT``.
        sweep: Name of the sweep's folder, which is its W&B group.

    Raises:
        UserError: If the project lacks its entity, or the extra is not installed.
    """
    entity, _, name = project.partition("/")
    if not name:
        raise UserError(f"{project} is no ENTITY/PROJECT: write your W&B account before the project")
    try:
        made = [make(entity, name, sweep) for make in (saved_view, sweep_report)]
    except ImportError as error:
        raise UserError(f"the dashboard needs wandb-workspaces: {install_command('dashboard')}") from error
    for item in made:
        print(item.save().url)
