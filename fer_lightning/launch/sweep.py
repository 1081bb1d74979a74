"""The ledger of jobs: each one's state in its metrics.json."""

import gc
import json
import sys
import traceback
from pathlib import Path
from typing import Any

from hydra.core.utils import JobReturn, JobStatus
from hydra.experimental.callback import Callback
from omegaconf import DictConfig

from fer_lightning.launch.resume import job_options
from fer_lightning.report.table import collect, show_table, tabulate
from fer_lightning.runs.files import write_json


class JobLedger(Callback):
    """Close each job: its true state on disk and in W&B, its memory freed, the sweep's table rewritten."""

    def on_job_end(self, config: DictConfig, job_return: JobReturn, **kwargs: Any) -> None:
        """Write the job's state; in a sweep rewrite and print the table."""
        failed = job_return.status != JobStatus.COMPLETED
        path = Path(config.hydra.runtime.output_dir) / "metrics.json"
        noted = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
        state = {"status": "failed" if failed else "completed", "overrides": " ".join(job_options())}
        if failed:
            error = job_return._return_value
            state["error"] = " ".join(f"{type(error).__name__}: {error}".split())
            traceback.clear_frames(error.__traceback__)  # the frames hold the model, hence its memory
            gc.collect()
        # What failed before it began leaves the record of an earlier, completed run as it is.
        if noted.get("status") != "completed":
            write_json(path, {**noted, **state})
        if wandb := sys.modules.get("wandb"):
            wandb.finish(exit_code=int(failed))
        if config.hydra.mode.name == "MULTIRUN":
            show_table(tabulate(Path(config.hydra.sweep.dir), config.objective), config.objective)

    def on_multirun_end(self, config: DictConfig, **kwargs: Any) -> None:
        """End a search with exit code 1 if one of its jobs failed; a grid has ended so before this.

        Raises:
            SystemExit: Naming the number.
        """
        folder = Path(config.hydra.sweep.dir)
        failed = sum(job["status"] == "failed" for job in collect(folder, config.objective))
        if failed:
            raise SystemExit(f"error: {failed} jobs failed: {folder}/sweep.csv says why, sweep.resume={folder} retries")
