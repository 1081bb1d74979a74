"""The ledger of jobs: each one's state in its metrics.json, all of a sweep in sweep.csv."""

import csv
import gc
import io
import json
import sys
import traceback
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from omegaconf import DictConfig
from rich.console import Console
from rich.table import Column, Table

from fer_lightning.files import write_json, write_text

COLUMNS = (
    "job",
    "status",
    "val/accuracy",
    "test/accuracy",
    "test/balanced_accuracy",
    "test/macro_f1",
    "elapsed_seconds",
    "data",
    "protocol",
    "leaks",
    "overrides",
    "error",
)
SHOWN = COLUMNS[:7]


class JobLedger(Callback):
    """Close each job: its true state on disk and in W&B, its memory freed, the sweep's table rewritten."""

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Write the job's state; in a sweep rewrite and print the table."""
        failed = job_return.status != JobStatus.COMPLETED
        folder = Path(config.hydra.runtime.output_dir)
        state = {"status": "failed" if failed else "completed", "overrides": " ".join(config.hydra.overrides.task)}
        if failed:
            error = job_return._return_value
            state["error"] = " ".join(f"{type(error).__name__}: {error}".split())
            traceback.clear_frames(error.__traceback__)  # the frames hold the model, hence its memory
            gc.collect()
        _update_json(folder / "metrics.json", state)
        if wandb := sys.modules.get("wandb"):
            wandb.finish(exit_code=int(failed))
        if config.hydra.mode.name == "MULTIRUN":
            rows = collect(Path(config.hydra.sweep.dir))
            write_table(Path(config.hydra.sweep.dir) / "sweep.csv", rows)
            show_table(rows)


def collect(sweep_dir: Path) -> list[dict[str, Any]]:
    """Return one row per job that has ended, best objective first, failed ones last."""
    rows = [
        {"job": path.parent.name, **json.loads(path.read_text())} for path in sorted(sweep_dir.glob("*/metrics.json"))
    ]
    return sorted(rows, key=lambda row: -row.get("val/accuracy", -1.0))


def write_table(path: Path, rows: list[dict[str, Any]]) -> None:
    """Write the rows as CSV."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, COLUMNS, extrasaction="ignore", restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    write_text(path, text.getvalue())


def show_table(rows: list[dict[str, Any]]) -> None:
    """Print the rows on the console."""
    table = Table(Column("job", overflow="fold", ratio=2), *SHOWN[1:])
    for row in rows:
        cells = (row.get(name, "") for name in SHOWN)
        table.add_row(*(f"{cell:.4f}" if isinstance(cell, float) else str(cell) for cell in cells))
    console = Console()
    Console(width=max(console.width, 140)).print(table)  # wide enough for every column where there is no terminal


def _update_json(path: Path, state: dict[str, str]) -> None:
    content = json.loads(path.read_text()) if path.exists() else {}
    write_json(path, {**content, **state})
