"""Results of a test: metrics.json, predictions.csv and audit.json in the run's folder."""

import platform
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint

from fer_lightning import __version__
from fer_lightning.data.published import ceiling
from fer_lightning.files import write_csv, write_json
from fer_lightning.kinds import Location, Metric, Setting
from fer_lightning.loggers import PatientWandbLogger
from fer_lightning.report.statistics import certainty_figures, intervals, one_vs_rest, with_the_mix_of_all
from fer_lightning.report.tables import print_score
from fer_lightning.runs.checkpoints import fingerprint
from fer_lightning.runs.record import Record, code_fingerprint, read_tested, write_record
from fer_lightning.words import percent

COLUMNS = ("file", "label", "prediction", "vote", "raw_vote", "abstained", "twins", "twin_in_training")


class Predictions(Callback):
    """Write the results of a test into the run's folder, and print the scores.

    Args:
        output_dir: The run's folder.
        objective: Metric that chose the checkpoint.
        settings: What the tables of several runs compare by: optimizer, learning rate, batch size, epochs, seed.
        checkpoint: Path of the checkpoint that is scored again, or None in a training.
    """

    def __init__(
        self, output_dir: Location, objective: Metric, settings: dict[str, Setting], checkpoint: Location | None
    ) -> None:
        self.folder = Path(output_dir)
        self.objective = objective
        self.settings = dict(settings)
        self.checkpoint = checkpoint
        self.training: Record | None = None
        self.pictures = 0
        self.earlier_seconds = 0.0
        self.start = time.monotonic()

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Log the partition and the audit of the faces before the training."""
        datamodule = trainer.datamodule
        partition = datamodule.partition
        content = {
            "faces": {
                "proves": partition.proves,
                "leaks": "; ".join(partition.leaks()),
                "train": len(partition.train),
                "validation": len(partition.validation),
                "test": len(partition.test),
                "left_out": partition.left_out,
                "left_out_test": partition.left_out_test,
            },
            "audit": datamodule.audit.report(),
        }
        honesty = "leaky" if partition.leaks() else "honest" if partition.measurable else "leaks unknown"
        for logger in trainer.loggers:
            logger.log_hyperparams(content)
            if isinstance(logger, PatientWandbLogger):
                logger.log_tags([partition.protocol, datamodule.faces.source, honesty])

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """Start the clock (a resumed run continues its own). Write an empty record: it stays if the run is killed."""
        self.start = time.monotonic() - self.earlier_seconds
        if trainer.is_global_zero:
            write_record(self.folder, Record(objective=self.objective))

    def state_dict(self) -> dict[str, float]:
        """Return the seconds and the pictures of the training up to now."""
        return {"seconds": time.monotonic() - self.start, "pictures": self.pictures}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Set the seconds and the pictures from the checkpoint."""
        self.earlier_seconds, self.pictures = state_dict["seconds"], state_dict["pictures"]

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Count the pictures."""
        self.pictures += len(outputs["labels"])

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        """Remember the time of the training, validation included, and the score of the chosen checkpoint."""
        seconds = time.monotonic() - self.start
        checkpoint = trainer.checkpoint_callback
        score = checkpoint.best_model_score if isinstance(checkpoint, ModelCheckpoint) else None
        if score is None:  # fast_dev_run writes no checkpoint
            score = trainer.callback_metrics[self.objective]
        self.training = Record(
            figures={self.objective: float(score)},
            elapsed_seconds=round(seconds, 1),
            images_per_second=round(self.pictures / seconds, 1),
        )

    def on_test_start(self, trainer: Any, pl_module: Any) -> None:
        """Start the clock of an evaluation."""
        self.start = time.monotonic()

    def on_test_end(self, trainer: Any, pl_module: Any) -> None:
        """Write all files in the main process, which has the outputs of every process."""
        if not trainer.is_global_zero:
            return
        datamodule = trainer.datamodule
        faces, partition = datamodule.faces, datamodule.partition
        columns = pl_module.test_outputs
        rows, labels, predictions = columns["rows"], columns["labels"], columns["predictions"]
        groups, leaked = partition.groups[rows], partition.leaked(rows)
        counted = ~np.isin(faces.classes, pl_module.absent)
        figures = _bounds(labels, predictions, groups, counted)
        if partition.measurable:
            figures |= _without_twins(labels, predictions, leaked)
        figures |= certainty_figures(columns, pl_module.calibration)
        figures["train/accuracy"] = pl_module.classifier.held_in_accuracy()
        limit, reason = ceiling(faces, partition.twins.identical[partition.origins[rows]], labels)
        weights = fingerprint(pl_module.state_dict())
        record = self._record(trainer, figures, weights, len(rows), limit)
        if record.figures["test/accuracy_low"] > limit and record.unscored is None:  # a part of the faces may be easy
            leaks = record.leaks or "Nothing was found that leaks; keep looking"
            too_good = (
                f"test/accuracy {percent(record.figures['test/accuracy'])} lies above the {percent(limit)} that can be "
                f"believed here ({reason}): it cannot be honest. {leaks}"
            )
            record = replace(record, too_good=too_good)
        for logger in trainer.loggers:
            logger.log_metrics(figures, step=trainer.global_step)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_record(self.folder, record)
        write_json(self.folder / "audit.json", datamodule.audit.report())
        if faces.unreadable:
            write_csv(self.folder / "bad_images.csv", ["file", "reason"], faces.unreadable)
        votes, raw = ([f"{vote:.6f}" for vote in columns[name].max(axis=1)] for name in ("votes", "raw_votes"))
        names = (partition.faces.names[rows], *(np.array(faces.classes)[column] for column in (labels, predictions)))
        in_training = leaked.astype(int) if partition.measurable else np.full(len(rows), "")
        table = (*names, votes, raw, columns["abstained"], groups, in_training)
        write_csv(self.folder / "predictions.csv", COLUMNS, zip(*table, strict=True))
        for logger in trainer.loggers:
            if isinstance(logger, PatientWandbLogger):
                logger.log_results(self.folder)
        print_score(record, labels, faces.classes)

    def _record(self, trainer: Any, figures: dict[str, float], weights: str, test_faces: int, limit: float) -> Record:
        """Return the record of this test: its metrics, more figures, and the accuracy that its labels allow."""
        datamodule, draw = trainer.datamodule, trainer.lightning_module.draw
        faces, partition, training = datamodule.faces, datamodule.partition, self.training
        if training is None:  # the run that tested these weights before, with its objective alone
            training = read_tested(self.checkpoint or "", weights)
            score = training.figures.get(self.objective)
            training = replace(training, figures={} if score is None else {self.objective: score})
        if partition.trained_on:  # the score that chose the checkpoint was that of other faces
            training = replace(training, figures={})
        tested = {name: value.item() for name, value in trainer.callback_metrics.items() if name.startswith("test/")}
        return Record(
            figures={**tested, **figures, **training.figures},
            elapsed_seconds=training.elapsed_seconds,
            images_per_second=training.images_per_second,
            test_seconds=None if self.training else round(time.monotonic() - self.start, 1),
            weights=weights,
            audit_seconds=round(datamodule.audit.seconds, 1) or None,
            objective=self.objective,
            settings=self.settings,
            environment=environment(),
            processes=trainer.world_size,
            data=faces.source,
            classes=list(faces.classes),
            data_fingerprint=faces.fingerprint,
            labels_allow=limit,
            protocol=partition.protocol,
            proves=partition.proves,
            trained_on=partition.trained_on,
            leaks="; ".join(partition.leaks()) if partition.measurable else None,
            train_faces=len(partition.train) or None,
            test_faces=test_faces,
            unscored=len(partition.test) - test_faces or None,
            split=faces.split,
            persons=datamodule.audit.persons,
            draw=str(draw) if draw else None,
            validation_faces=draw.validated if draw else len(partition.validation) or None,
            left_out=partition.left_out,
            left_out_test=partition.left_out_test or None,
            corrections=str(partition.corrected) if partition.corrected else None,
            version=__version__,
            code=code_fingerprint(),
        )


def _bounds(labels: np.ndarray, predictions: np.ndarray, groups: np.ndarray, counted: np.ndarray) -> dict[str, float]:
    """Return the intervals of the headline metrics, whose means are over the counted classes, (C,) bool."""
    figures = {
        f"test/{name}_{end}": bound
        for name, bounds in intervals(labels, predictions, groups, len(counted), counted=counted).items()
        for end, bound in zip(("low", "high"), bounds, strict=True)
    }
    figures["test/one_vs_rest_accuracy"] = one_vs_rest(float((labels == predictions).mean()), len(counted))
    return figures


def _without_twins(labels: np.ndarray, predictions: np.ndarray, leaked: np.ndarray) -> dict[str, float]:
    """Return the accuracy on faces without a twin in training, also with the class mix of all test faces."""
    figures = {"test/faces_without_twins": float((~leaked).sum())}
    right = labels == predictions
    if not leaked.all():
        figures["test/accuracy_without_twins"] = float(right[~leaked].mean())
    if leaked.any() and not leaked.all():
        figures["test/accuracy_without_twins_same_mix"] = with_the_mix_of_all(right, labels, ~leaked)
    return figures


def environment() -> dict[str, str]:
    """Return the device and the versions of Python and the packages."""
    packages = ("torch", "lightning", "hydra-core", "pytorch-metric-learning", "albumentations", "numpy")
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, threads: {torch.get_num_threads()}"
    return {
        "python": platform.python_version(),
        "device": device,
        **{package: version(package) for package in packages},
    }
