"""Loggers: a CSV file that a resumed run continues, and W&B whose failures never end a training."""

import csv
import io
import logging
import re
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from importlib.metadata import version
from pathlib import Path
from typing import Any

from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.core.saving import save_hparams_to_yaml
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only

from fer_lightning.files import write_csv
from fer_lightning.kinds import Count, Location
from fer_lightning.report.doctor import findings
from fer_lightning.runs.record import read_run

log = logging.getLogger(__name__)

# W&B draws a curve for each metric that it gets. These go only into its table of runs: metrics with one point, metrics
# of single classes, and metrics that repeat a curve in other units.
NO_CURVE = re.compile(
    r"test/.*|val/(precision|recall|f1)_.*|val/macro_(precision|recall)|val/(accuracy_k\d+|k|quick_sample_size)"
    r"|val/(temperature|calibration_error|calibration_error_raw|(confidence|distance)_threshold)"
    r"|val/(answered|accuracy_answered|accuracy_reachable)"
    r"|train/(triplets|active_triplets|idle_batches)"
)
LONGEST_TAG = 64  # letters, W&B's limit


class ContinuedCSVLogger(Logger):
    """Write metrics.csv and hparams.yaml of a run. Lightning's own logger would delete the rows before a resumption.

    New rows are appended to the file. When a column is added, the whole file is written again.

    Args:
        save_dir: The run's folder.
        buffer_size: Rows that are kept in memory at most.
    """

    name = version = ""

    def __init__(self, save_dir: Location, buffer_size: Count) -> None:
        super().__init__()
        self.folder = Path(save_dir)
        self.folder.mkdir(parents=True, exist_ok=True)  # only here: if it is deleted later, that is an error
        self.path = self.folder / "metrics.csv"
        self.buffer_size = buffer_size
        self.buffer: list[dict[str, Any]] = []
        self.columns = list(self._read().fieldnames or [])
        self.hyperparameters: dict[str, Any] = {}

    @property
    def save_dir(self) -> str:
        """The run's folder, where a profiler writes too."""
        return str(self.folder)

    @rank_zero_only
    def log_hyperparams(self, params: dict[str, Any] | Namespace, *args: Any, **kwargs: Any) -> None:
        """Add hyperparameters to hparams.yaml."""
        self.hyperparameters |= vars(params) if isinstance(params, Namespace) else params
        save_hparams_to_yaml(self.folder / "hparams.yaml", self.hyperparameters)

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Add a row to the buffer."""
        self.buffer.append({**metrics, "step": step})
        if len(self.buffer) >= self.buffer_size:
            self.save()

    @rank_zero_only
    def save(self) -> None:
        """Write the buffered rows to the file."""
        if not self.buffer:
            return
        columns = sorted({*self.columns, *(name for row in self.buffer for name in row)})
        if columns != self.columns:
            self._replace(columns, list(self._read()))
        with self.path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, columns, lineterminator="\n").writerows(self.buffer)
        self.buffer = []

    def finalize(self, status: str) -> None:
        """Write the last rows."""
        self.save()

    @rank_zero_only
    def keep_until(self, step: int) -> None:
        """Delete the rows from a step on, and a half-written one: the resumed run writes them again."""
        rows = [row for row in self._read() if (row["step"] or "").isdigit() and int(row["step"]) < step]
        if self.columns:
            self._replace(self.columns, rows)

    def _read(self) -> csv.DictReader:
        """Return a reader of the rows in the file."""
        text = self.path.read_text(encoding="utf-8") if self.path.is_file() else ""
        return csv.DictReader(io.StringIO(text, newline=""))

    def _replace(self, columns: list[str], rows: Sequence[Mapping[str, Any]]) -> None:
        self.columns = columns
        write_csv(self.path, columns, ([row.get(name) for name in columns] for row in rows))


def patient(method: Callable) -> Callable:
    """Decorate a method of the logger: its first error becomes a warning, and later calls do nothing."""

    @wraps(method)
    def call(self: "PatientWandbLogger", *args: Any, **kwargs: Any) -> Any:
        if self.failed:
            return None
        try:
            return method(self, *args, **kwargs)
        except Exception as error:  # of the server, the network, the service process or the key
            if not self.failed:  # else a method that this one called has warned already
                reason = " ".join(f"{type(error).__name__}: {error}".split())
                log.warning(
                    "W&B failed (%.300s): the run goes on without it, metrics.csv has every metric (wandb %s, "
                    "lightning %s)",
                    *(reason, version("wandb"), version("lightning")),
                )
            self.failed = True
            return None

    return call


class PatientWandbLogger(WandbLogger):
    """Lightning's W&B logger, with few curves. After a failure of W&B it warns once, and the training goes on.

    The table of runs shows the validation that chose the checkpoint, not the last one.

    Args:
        options: Arguments of Lightning's logger and of ``wandb.init``; config/library.py has those that conf/ sets.
    """

    failed = False

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._wandb_init.pop("anonymous", None)  # set by Lightning; W&B would warn about it in every run
        self.latest: dict[str, float] = {}  # values for the table of runs, written when a checkpoint is chosen

    @property
    @patient
    def experiment(self) -> Any:
        """W&B's run, which starts at the first access; None if it could not start."""
        return super().experiment

    log_hyperparams = patient(WandbLogger.log_hyperparams)
    finalize = patient(WandbLogger.finalize)

    @rank_zero_only
    @patient
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Add a point to each curve. Keep validation metrics, and metrics without a curve, for the table of runs."""
        curves = {name: value for name, value in metrics.items() if not NO_CURVE.fullmatch(name)}
        for name in curves.keys() - self.latest.keys():
            if name.startswith("val/"):  # by name: "val/*" could lose against W&B's own "*"
                self.experiment.define_metric(name, step_metric="trainer/global_step", summary="none")
        for name, value in metrics.items():
            if name.startswith("val/") or not (name in curves or name.startswith("test/")):
                self.latest[name] = value
        epoch = curves.pop("epoch", None)
        if curves and epoch is not None:
            curves["trainer/epoch"] = epoch  # under the name "epoch" it would be the first panel
        if curves:
            super().log_metrics(curves, step)

    @patient
    def after_save_checkpoint(self, checkpoint_callback: ModelCheckpoint) -> None:
        """Show the scores of the chosen checkpoint, and upload it with ``log_model``; never upload ``last.ckpt``."""
        if checkpoint_callback.monitor:
            super().after_save_checkpoint(checkpoint_callback)
            if checkpoint_callback.current_score == checkpoint_callback.best_model_score:
                self.log_summary(self.latest)

    @rank_zero_only
    @patient
    def log_tags(self, tags: Sequence[str]) -> None:
        """Add tags to the run."""
        self.experiment.tags = list(dict.fromkeys([*self.experiment.tags, *(tag[:LONGEST_TAG] for tag in tags)]))

    @patient
    def log_results(self, folder: Path) -> None:
        """Show the figures of a tested run, and add the doctor's findings to the notes."""
        run, notes = read_run(folder), self.experiment.notes or ""
        self.log_summary(run.figures)
        self.experiment.notes = "\n".join(dict.fromkeys([*notes.splitlines(), *findings(run)]))

    @patient
    def log_media(self, media: Mapping[str, Any]) -> None:
        """Log figures and tables, as objects of wandb."""
        self.experiment.log(dict(media))

    @patient
    def log_summary(self, summary: Mapping[str, Any]) -> None:
        """Set values in the run's row of W&B's table."""
        self.experiment.summary.update(dict(summary))

    @patient
    def interrupted(self, code: int) -> None:
        """Finish W&B's run, marked as one that will be resumed. Slurm's signals end W&B's own process too."""
        self.experiment.mark_preempting()
        self.experiment.finish(exit_code=code)
