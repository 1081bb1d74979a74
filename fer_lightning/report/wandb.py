"""Sweeps in W&B: the closing run of each, and on demand a saved view and a report of one.

python -m fer_lightning.report.wandb ENTITY/PROJECT SWEEP      (needs: pip install 'fer_lightning[dashboard]')
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import wandb
from omegaconf import DictConfig

from fer_lightning.errors import UserError
from fer_lightning.report.leaderboard import contenders, order
from fer_lightning.report.page import option_scores
from fer_lightning.report.table import MEASURED
from fer_lightning.runs.record import Run, read_runs

SECTIONS = {  # of the saved view: title -> metrics, each a panel
    "Scores": ("val/accuracy", "val/macro_f1", "val/accuracy_quick"),
    "Training": ("train/loss", "train/active_share", "train/spread", "train/learning_rate"),
    "Distances": ("train/positive_distance", "train/negative_distance", "train/active_triplets"),
}
CLOSING = ("sweep/scores", "sweep/options", "sweep/training_graphs", "sweep/confusion_matrices")
BARS = ("test/accuracy", "test/balanced_accuracy", "test/macro_f1", "test/accuracy_without_twins")


def log_sweep(folder: Path, config: DictConfig) -> None:
    """Log a finished sweep as one more run of its W&B group: leaderboard, figures, objective against each option.

    Args:
        folder: Of the sweep; its report has been written.
        config: Of one of its jobs; names project, group and mode.
    """
    runs, objective = read_runs(folder), config.objective
    options = option_scores(runs, objective)
    with wandb.init(
        project=config.logger.wandb.project,
        group=config.logger.wandb.group,
        name=f"sweep {folder.name}",
        job_type="sweep",
        dir=str(folder),
        mode=config.logger.wandb.mode,
        settings=wandb.Settings(silent=True),
    ) as run:
        run.log({"sweep/leaderboard": leaderboard_table(runs, objective)})
        run.log({f"sweep/{path.stem}": wandb.Image(str(path)) for path in sorted((folder / "figures").glob("*.png"))})
        for option, (choices, scores) in options.items():
            means = [
                [choice, fmean(score for other, score in zip(choices, scores, strict=True) if other == choice)]
                for choice in dict.fromkeys(choices)
            ]  # bars of equal name would be laid on top of each other
            bars = wandb.plot.bar(
                wandb.Table([option, objective], means), option, objective, title=f"mean {objective} by {option}"
            )
            run.log({f"sweep/by_{option}": bars})
        honest = [run.metrics for run in runs if not run.metrics.get("leaks") and objective in run.metrics]
        if honest:
            best = max(honest, key=lambda metrics: metrics[objective])
            run.summary.update({f"best/{name}": best[name] for name in (objective, "test/accuracy") if name in best})
        run.summary["sweep/jobs"] = len(runs)
        run.summary["sweep/failed"] = sum(run.metrics.get("status") == "failed" for run in runs)


def leaderboard_table(runs: Sequence[Run], objective: str) -> wandb.Table:
    """Return the leaderboard: means of repeated runs first, then every job."""
    names = [objective, *MEASURED, "test/accuracy_low", "test/accuracy_high", "elapsed_seconds"]
    rows = [
        [label, row["status"], row["runs"], *(row.get(name) for name in names), row.get("leaks", "")]
        for label, _, row in contenders(order(runs, objective), objective)
    ]
    return wandb.Table(["job", "status", "runs", *names, "leaks"], rows)


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
        reports.MediaBrowser(media_keys=list(CLOSING), num_columns=2, layout=reports.Layout(y=8, w=24, h=16)),
    ]
    panels = [reports.BarPlot(title=metric, metrics=[metric]) for metric in BARS]
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


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(prog="python -m fer_lightning.report.wandb", description=__doc__)
    parser.add_argument("project", metavar="ENTITY/PROJECT")
    parser.add_argument("sweep", metavar="SWEEP", help="name of the sweep's folder, which is its W&B group")
    arguments = parser.parse_args()
    entity, _, project = arguments.project.partition("/")
    try:
        if not project:
            raise UserError(f"{arguments.project} is no ENTITY/PROJECT: write your W&B account before the project")
        try:
            made = [make(entity, project, arguments.sweep) for make in (saved_view, sweep_report)]
        except ImportError as error:
            raise UserError("the dashboard needs wandb-workspaces: pip install 'fer_lightning[dashboard]'") from error
        for item in made:
            print(item.save().url)
    except UserError as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
