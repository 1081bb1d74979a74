"""The CSV of a run, continued where the run is; W&B that never ends a training."""

import csv
import io
import logging
from collections.abc import Callable, Mapping
from functools import wraps
from pathlib import Path
from typing import Any

from lightning.fabric.loggers.logger import rank_zero_experiment
from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.loggers import CSVLogger, WandbLogger
from lightning.pytorch.loggers.csv_logs import ExperimentWriter

from fer_lightning.runs.files import write_text

log = logging.getLogger(__name__)


class ContinuedCSVLogger(CSVLogger):
    """Lightning's CSV logger, which would delete the earlier rows of a run that goes on."""

    @property
    @rank_zero_experiment
    def experiment(self) -> ExperimentWriter:
        """The writer, made when it is first used."""
        if self._experiment is None:
            self._experiment = ContinuedWriter(self.log_dir)
        return self._experiment


class ContinuedWriter(ExperimentWriter):
    """Rows are added to those of the file, and the file is replaced whole when a column is added."""

    def keep_until(self, step: int) -> None:
        """Drop the rows from a step on, and what a killed process left unfinished: they come again."""
        path = Path(self.metrics_file_path)
        if path.is_file():
            with path.open(newline="", encoding="utf-8") as file:
                rows = [
                    row for row in csv.DictReader(file) if (row["step"] or "").isdigit() and int(row["step"]) < step
                ]
            self._replace(rows)

    def _check_log_dir_exists(self) -> None:
        path = Path(self.metrics_file_path)
        if path.is_file():
            with path.open(newline="", encoding="utf-8") as file:
                self.metrics_keys = list(csv.DictReader(file).fieldnames or [])

    def _rewrite_with_new_header(self, fieldnames: list[str]) -> None:
        with Path(self.metrics_file_path).open(newline="", encoding="utf-8") as file:
            self._replace(list(csv.DictReader(file)))

    def _replace(self, rows: list[Mapping[str, str]]) -> None:
        text = io.StringIO(newline="")
        writer = csv.DictWriter(text, self.metrics_keys, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
        write_text(Path(self.metrics_file_path), text.getvalue())


def patient(method: Callable) -> Callable:
    """Turn the first failure of a logger's method into one warning, and what comes after it into nothing."""

    @wraps(method)
    def call(self: "PatientWandbLogger", *args: Any, **kwargs: Any) -> Any:
        if self.failed:
            return None
        try:
            return method(self, *args, **kwargs)
        except Exception as error:  # of the server, the network, the service process or the key: the remedy is the same
            self.failed = True
            reason = " ".join(f"{type(error).__name__}: {error}".split())
            log.warning("W&B failed (%.300s): the run goes on without it, metrics.csv has every metric", reason)
            return None

    return call


class PatientWandbLogger(WandbLogger):
    """Lightning's logger; whatever fails in W&B is one warning, and the training goes on."""

    failed = False

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._wandb_init.pop("anonymous", None)  # Lightning passes it unasked, and W&B warns of it in every run

    log_hyperparams = patient(WandbLogger.log_hyperparams)
    log_metrics = patient(WandbLogger.log_metrics)
    finalize = patient(WandbLogger.finalize)

    @patient
    def after_save_checkpoint(self, checkpoint_callback: ModelCheckpoint) -> None:
        """Leave ``last.ckpt`` out of what ``log_model`` uploads: it would take ``best`` from the chosen one."""
        if checkpoint_callback.monitor:
            super().after_save_checkpoint(checkpoint_callback)

    @patient
    def interrupted(self, code: int) -> None:
        """End the run as one that goes on later. A signal of Slurm's reaches W&B's own process too, and ends it."""
        self.experiment.mark_preempting()
        self.experiment.finish(exit_code=code)
