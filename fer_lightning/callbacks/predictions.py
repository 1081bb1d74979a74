"""Results of a test: metrics.json, predictions.csv and audit.json in the run's folder."""

import platform
import time
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint

from fer_lightning.kinds import Location, Metric, Setting
from fer_lightning.loggers import PatientWandbLogger
from fer_lightning.report.results import Tested, test_figures, write_results
from fer_lightning.runs.checkpoints import fingerprint
from fer_lightning.runs.record import Record, read_tested, write_record


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
        self.earlier_seconds = 0.0
        self.start = time.monotonic()

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Log the partition and the audit of the faces before the training."""
        datamodule = trainer.datamodule
        partition = datamodule.partition
        leaks = partition.verdict()
        content = {
            "faces": {
                "proves": partition.proves,
                "leaks": leaks or "",
                "train": len(partition.train),
                "validation": len(partition.validation),
                "test": len(partition.test),
                "left_out": partition.left_out,
                "left_out_test": partition.left_out_test,
            },
            "audit": datamodule.audit.report(),
        }
        honesty = "leaks unknown" if leaks is None else "leaky" if leaks else "honest"
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
        """Return the seconds of the training up to now."""
        return {"seconds": time.monotonic() - self.start}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Set the seconds from the checkpoint."""
        self.earlier_seconds = state_dict["seconds"]

    def on_fit_end(self, trainer: Any, pl_module: Any) -> None:
        """Remember the time of the training, validation included, and the score of the chosen checkpoint."""
        checkpoint = trainer.checkpoint_callback
        score = checkpoint.best_model_score if isinstance(checkpoint, ModelCheckpoint) else None
        if score is None:  # fast_dev_run writes no checkpoint
            score = trainer.callback_metrics[self.objective]
        seconds = round(time.monotonic() - self.start, 1)
        self.training = Record(figures={self.objective: float(score)}, elapsed_seconds=seconds)

    def on_test_end(self, trainer: Any, pl_module: Any) -> None:
        """Write all files in the main process, which has the outputs of every process."""
        if not trainer.is_global_zero:
            return
        datamodule, outputs = trainer.datamodule, pl_module.test_outputs
        tested = Tested(
            rows=outputs["rows"],
            labels=outputs["labels"],
            predictions=outputs["predictions"],
            votes=outputs["votes"].max(axis=1),
            raw_votes=outputs["raw_votes"].max(axis=1),
            abstained=outputs["abstained"],
            absent=pl_module.absent,
            shares=outputs["votes"],
        )
        figures = test_figures(datamodule, tested, pl_module.calibration)
        figures["train/accuracy"] = pl_module.classifier.held_in_accuracy()
        record = self._record(trainer, figures, fingerprint(pl_module.state_dict()))
        write_results(self.folder, record, datamodule, tested)
        for logger in trainer.loggers:
            logger.log_metrics(figures, step=trainer.global_step)
            if isinstance(logger, PatientWandbLogger):
                logger.log_results(self.folder)

    def _record(self, trainer: Any, figures: dict[str, float], weights: str) -> Record:
        """Return the record of this test and of the training; ``write_results`` adds the faces."""
        partition, draw, training = trainer.datamodule.partition, trainer.lightning_module.draw, self.training
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
            weights=weights,
            audit_seconds=round(trainer.datamodule.audit.seconds, 1) or None,
            objective=self.objective,
            settings=self.settings,
            environment=environment(),
            processes=trainer.world_size,
            draw=str(draw) if draw else None,
            validation_faces=draw.validated if draw else len(partition.validation) or None,
        )


def environment() -> dict[str, str]:
    """Return the device and the versions of Python and the packages."""
    packages = ("torch", "lightning", "hydra-core", "pytorch-metric-learning", "albumentations", "numpy")
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, threads: {torch.get_num_threads()}"
    return {
        "python": platform.python_version(),
        "device": device,
        **{package: version(package) for package in packages},
    }
