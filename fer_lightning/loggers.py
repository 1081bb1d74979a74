"""The CSV of a run, continued where the run is; W&B that never ends a training."""

import csv
import io
import logging
import re
from argparse import Namespace
from collections.abc import Callable, Mapping, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch.callbacks import ModelCheckpoint
from lightning.pytorch.core.saving import save_hparams_to_yaml
from lightning.pytorch.loggers import WandbLogger
from lightning.pytorch.loggers.logger import Logger
from lightning.pytorch.utilities import rank_zero_only

from fer_lightning.files import write_csv
from fer_lightning.kinds import Count, Location, Part, Tags, Text, Upload
from fer_lightning.report.doctor import findings
from fer_lightning.runs.record import read_run

log = logging.getLogger(__name__)

# Metrics that W&B has in its table of runs alone, for its workspace draws every curve that it is given: those of one
# point, those of single classes, and those that say in other units what a curve says.
NO_CURVE = re.compile(
    r"test/.*|val/(precision|recall|f1)_.*|val/macro_(precision|recall)|val/(accuracy_k\d+|k|quick_sample_size)"
    r"|val/(temperature|calibration_error|calibration_error_raw|(confidence|distance)_threshold)"
    r"|val/(answered|accuracy_answered|accuracy_reachable)"
    r"|train/(triplets|active_triplets|loss_over_margin|idle_batches)"
)
LONGEST_TAG = 64  # letters, W&B's own limit


class ContinuedCSVLogger(Logger):
    """Keep metrics.csv and hparams.yaml of a run; Lightning's own deletes the earlier rows of a run that goes on.

    Rows are added to those of the file, which is replaced whole when a column is added.

    Args:
        save_dir: The run's folder.
        buffer_size: Rows that are kept in memory at most.
    """

    name = version = ""

    def __init__(self, save_dir: Location, buffer_size: Count) -> None:
        super().__init__()
        self.folder = Path(save_dir)
        self.folder.mkdir(parents=True, exist_ok=True)  # here alone: who deletes it later shall hear of it
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
        """Write them beside those that are known."""
        self.hyperparameters |= vars(params) if isinstance(params, Namespace) else params
        save_hparams_to_yaml(self.folder / "hparams.yaml", self.hyperparameters)

    @rank_zero_only
    def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
        """Take a row."""
        self.buffer.append({**metrics, "step": step})
        if len(self.buffer) >= self.buffer_size:
            self.save()

    @rank_zero_only
    def save(self) -> None:
        """Write the rows that are not on disk."""
        if not self.buffer:
            return
        columns = sorted({*self.columns, *(name for row in self.buffer for name in row)})
        if columns != self.columns:
            self._replace(columns, list(self._read()))
        with self.path.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, columns, lineterminator="\n").writerows(self.buffer)
        self.buffer = []

    def finalize(self, status: str) -> None:
        """Write the rest."""
        self.save()

    @rank_zero_only
    def keep_until(self, step: int) -> None:
        """Drop the rows from a step on, and what a killed process left unfinished: they come again."""
        rows = [row for row in self._read() if (row["step"] or "").isdigit() and int(row["step"]) < step]
        if self.columns:
            self._replace(self.columns, rows)

    def _read(self) -> csv.DictReader:
        """Return the rows on disk."""
        text = self.path.read_text(encoding="utf-8") if self.path.is_file() else ""
        return csv.DictReader(io.StringIO(text, newline=""))

    def _replace(self, columns: list[str], rows: Sequence[Mapping[str, Any]]) -> None:
        self.columns = columns
        write_csv(self.path, columns, ([row.get(name) for name in columns] for row in rows))


def patient(method: Callable) -> Callable:
    """Turn the first failure of a logger's method into one warning, and what comes after it into nothing."""

    @wraps(method)
    def call(self: "PatientWandbLogger", *args: Any, **kwargs: Any) -> Any:
        if self.failed:
            return None
        try:
            return method(self, *args, **kwargs)
        except Exception as error:  # of the server, the network, the service process or the key: the remedy is the same
            if not self.failed:  # else it was said by a method that this one has called
                reason = " ".join(f"{type(error).__name__}: {error}".split())
                log.warning("W&B failed (%.300s): the run goes on without it, metrics.csv has every metric", reason)
            self.failed = True
            return None

    return call


class PatientWandbLogger(WandbLogger):
    """Lightning's logger; whatever fails in W&B is one warning, and the training goes on.

    W&B draws few curves, and its table of runs shows the validation that chose the checkpoint instead of the last one.

    Args:
        project: Project in W&B.
        name: Name of the run: the options that it overrides, or run_name where that is set.
        id: The option run_id.
        group: The sweep of the run.
        job_type: The option job_type.
        save_dir: Folder of the run.
        log_model: Whether best.ckpt is uploaded.
        mode: Whether to upload.
        settings: W&B's own settings.
        entity: User or team in W&B.
        tags: Tags of the run, before those that it gets itself.
        notes: Notes on the run, above those of the doctor.
        options: Further arguments of Lightning's logger and of ``wandb.init``.
    """

    failed = False

    def __init__(
        self,
        project: Text,
        name: Text,
        id: Text,
        group: Text | None,
        job_type: Text,
        save_dir: Location,
        log_model: Upload,
        mode: Literal["online", "offline", "disabled", "shared"],
        settings: Part[Any],
        entity: Text | None = None,
        tags: Tags | None = None,
        notes: Text | None = None,
        **options: Any,
    ) -> None:
        super().__init__(
            name=name,
            save_dir=save_dir,
            id=id,
            project=project,
            log_model=log_model,
            group=group,
            job_type=job_type,
            mode=mode,
            settings=settings,
            entity=entity,
            tags=tags,
            notes=notes,
            **options,
        )
        self._wandb_init.pop("anonymous", None)  # Lightning passes it unasked, and W&B warns of it in every run
        self.latest: dict[str, float] = {}  # values that wait for a checkpoint to be chosen by them

    @property
    @patient
    def experiment(self) -> Any:
        """W&B's run, begun when it is first asked for; None where it could not begin."""
        return super().experiment

    log_hyperparams = patient(WandbLogger.log_hyperparams)
    finalize = patient(WandbLogger.finalize)

    @rank_zero_only
    @patient
    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Add a point to each curve; remember what is validated, or is no curve."""
        curves = {name: value for name, value in metrics.items() if not NO_CURVE.fullmatch(name)}
        for name in curves.keys() - self.latest.keys():
            if name.startswith("val/"):  # each by its name: of two patterns that fit, "*" and "val/*", either may win
                self.experiment.define_metric(name, step_metric="trainer/global_step", summary="none")
        loose = {name: value for name, value in metrics.items() if name not in curves or name.startswith("val/")}
        self.latest |= {name: value for name, value in loose.items() if not name.startswith("test/")}
        epoch = {"trainer/epoch": curves.pop("epoch")} if "epoch" in curves else {}  # its own name would come first
        if curves:
            super().log_metrics(curves | epoch, step)

    @patient
    def after_save_checkpoint(self, checkpoint_callback: ModelCheckpoint) -> None:
        """Show what the chosen checkpoint scored, and upload it with ``log_model``, but never ``last.ckpt``."""
        if checkpoint_callback.monitor:
            super().after_save_checkpoint(checkpoint_callback)
            if checkpoint_callback.current_score == checkpoint_callback.best_model_score:
                self.log_summary(self.latest)

    @rank_zero_only
    @patient
    def log_tags(self, tags: Sequence[str]) -> None:
        """Add tags to those that the run has."""
        self.experiment.tags = list(dict.fromkeys([*self.experiment.tags, *(tag[:LONGEST_TAG] for tag in tags)]))

    @patient
    def log_results(self, folder: Path) -> None:
        """Show the figures of a tested run's folder, and as notes below the user's what the doctor finds in it."""
        run, notes = read_run(folder), self.experiment.notes or ""
        self.log_summary(run.figures)
        self.experiment.notes = "\n".join(dict.fromkeys([*notes.splitlines(), *findings(run)]))

    @patient
    def log_media(self, media: Mapping[str, Any]) -> None:
        """Add figures and tables, which wandb's own types hold."""
        self.experiment.log(dict(media))

    @patient
    def log_summary(self, summary: Mapping[str, Any]) -> None:
        """Set what the run's row in W&B's table shows."""
        self.experiment.summary.update(dict(summary))

    @patient
    def interrupted(self, code: int) -> None:
        """End the run as one that goes on later. A signal of Slurm's reaches W&B's own process too, and ends it."""
        self.experiment.mark_preempting()
        self.experiment.finish(exit_code=code)
