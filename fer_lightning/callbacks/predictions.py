"""What a run measures: metrics.json, predictions.csv, audit.json."""

import copy
import csv
import io
import json
import logging
import platform
import time
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback

import fer_lightning
from fer_lightning.data.audit import ceiling
from fer_lightning.data.faces import CLASSES
from fer_lightning.models.classifiers import KNNClassifier
from fer_lightning.report.statistics import intervals, one_vs_rest
from fer_lightning.runs.files import write_json, write_text
from fer_lightning.runs.record import code_fingerprint

log = logging.getLogger(__name__)

SAMPLE = 1000  # training faces that are classified for the gap between training and test


class Results(Callback):
    """Write the results of a test into the run's folder and name them on the console.

    Args:
        output_dir: The run's folder.
        objective: Metric that chose the checkpoint.
        settings: What the tables of several runs compare by: optimizer, learning rate, batch size, epochs, seed.
        checkpoint: The one that is scored again, or None in a training.
    """

    def __init__(self, output_dir: str, objective: str, settings: Mapping, checkpoint: str | None) -> None:
        self.folder = Path(output_dir)
        self.objective = objective
        self.settings = dict(settings)
        self.checkpoint = checkpoint
        self.training: dict[str, float] = {}
        self.outputs: list[dict] = []
        self.pictures = 0
        self.earlier_seconds = 0.0
        self.start = time.monotonic()

    def setup(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        """Hand the loggers what is known of the faces before anything is trained."""
        partition = trainer.datamodule.partition
        known = {
            "faces": {
                "proves": partition.proves,
                "leaks": "; ".join(partition.leaks()),
                "train": len(partition.train),
                "validation": len(partition.validation),
                "test": len(partition.test),
                "left_out": partition.left_out,
            },
            "audit": trainer.datamodule.audit.report(),
        }
        for logger in trainer.loggers:
            logger.log_hyperparams(known)

    def on_fit_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Start the clock, of a resumed run where it stood; whoever finds no more than this knows of a killed run."""
        self.start = time.monotonic() - self.earlier_seconds
        if trainer.is_global_zero:
            write_json(self.folder / "metrics.json", {"status": "running", "objective": self.objective})

    def state_dict(self) -> dict:
        """Return how long training has taken, and over how many pictures."""
        return {"seconds": time.monotonic() - self.start, "pictures": self.pictures}

    def load_state_dict(self, state_dict: dict) -> None:
        """Take the clock of the checkpoint."""
        self.earlier_seconds, self.pictures = state_dict["seconds"], state_dict["pictures"]

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: dict, batch: object, idx: int
    ) -> None:
        """Count the pictures."""
        self.pictures += len(outputs["labels"])

    def on_fit_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Note how long training took, validation included, and what the chosen checkpoint scored."""
        seconds = time.monotonic() - self.start
        score = trainer.checkpoint_callback and trainer.checkpoint_callback.best_model_score
        if score is None:  # fast_dev_run writes no checkpoint
            score = trainer.callback_metrics[self.objective]
        self.training = {
            self.objective: float(score),
            "elapsed_seconds": round(seconds, 1),
            "images_per_second": round(self.pictures / seconds, 1),
        }

    def on_test_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Start the clock of an evaluation."""
        self.outputs = []
        self.start = time.monotonic()

    def on_test_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: dict, batch: object, idx: int
    ) -> None:
        """Keep the predictions."""
        self.outputs.append({name: values.cpu().numpy() for name, values in outputs.items()})

    def on_test_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Write everything; every process has all of it, the main one writes."""
        if not trainer.is_global_zero:
            return
        datamodule = trainer.datamodule
        faces, partition = datamodule.faces, datamodule.partition
        columns = {name: np.concatenate([output[name] for output in self.outputs]) for name in self.outputs[0]}
        rows, labels, predictions = columns["rows"], columns["labels"], columns["predictions"]
        groups, seen = partition.groups[rows], partition.seen(rows)
        unseen = self._uncertainty(labels, predictions, groups, seen)
        unseen["train/accuracy"] = training_accuracy(pl_module.classifier)
        limit, reason = ceiling(faces, partition.twins.identical[partition.origins[rows]], labels)
        metrics = {
            **{name: value.item() for name, value in trainer.callback_metrics.items() if name.startswith("test/")},
            **unseen,
            **(self.training or {**self._earlier(), "test_seconds": round(time.monotonic() - self.start, 1)}),
            "objective": self.objective,
            "settings": self.settings,
            "environment": environment(),
            "processes": trainer.world_size,
            "data": faces.source,
            "data_fingerprint": faces.fingerprint,
            "labels_allow": limit,
            "protocol": partition.protocol,
            "proves": partition.proves,
            "leaks": "; ".join(partition.leaks()),
            "train_faces": len(partition.train),
            "test_faces": len(rows),  # fewer than the protocol's under trainer.limit_test_batches
            "left_out": partition.left_out,
            "version": fer_lightning.__version__,
            "code": code_fingerprint(),
        }
        if metrics["test/accuracy_low"] > limit:
            metrics["too_good"] = (
                f"test/accuracy {metrics['test/accuracy']:.2%} lies above the {limit:.2%} that can be believed here "
                f"({reason}): it cannot be honest. {metrics['leaks'] or 'Nothing was found that leaks; keep looking'}"
            )
        for logger in trainer.loggers:
            logger.log_metrics(unseen, step=trainer.global_step)
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / "metrics.json", metrics)
        write_json(self.folder / "audit.json", datamodule.audit.report())
        if faces.unreadable:
            _write_csv(self.folder / "bad_images.csv", ["file", "reason"], faces.unreadable)
        votes = columns["votes"].max(axis=1)
        _write_csv(
            self.folder / "predictions.csv",
            ["file", "label", "prediction", "vote", "twins", "twin_in_training"],
            [
                [partition.faces.names[row], CLASSES[label], CLASSES[prediction], f"{vote:.6f}", group, int(known)]
                for row, label, prediction, vote, group, known in zip(
                    rows, labels, predictions, votes, groups, seen, strict=True
                )
            ],
        )
        self._say(metrics)

    def _uncertainty(
        self, labels: np.ndarray, predictions: np.ndarray, groups: np.ndarray, seen: np.ndarray
    ) -> dict[str, float]:
        """Return the intervals of the headline metrics, and the accuracy on faces without a twin in training."""
        accuracy = float((labels == predictions).mean())
        found = {
            f"test/{name}_{end}": bound
            for name, bounds in intervals(labels, predictions, groups, len(CLASSES)).items()
            for end, bound in zip(("low", "high"), bounds, strict=True)
        }
        found["test/one_vs_rest_accuracy"] = one_vs_rest(accuracy, len(CLASSES))
        found["test/faces_without_twins"] = float((~seen).sum())
        if not seen.all():
            found["test/accuracy_without_twins"] = float((labels == predictions)[~seen].mean())
        return found

    def _earlier(self) -> dict[str, float]:
        """Return what the training of the scored checkpoint noted of itself."""
        path = Path(self.checkpoint or "").absolute().parents[1] / "metrics.json"
        if not path.is_file():
            return {}
        noted = json.loads(path.read_text())
        return {name: noted[name] for name in (self.objective, "elapsed_seconds", "images_per_second") if name in noted}

    def _say(self, metrics: dict) -> None:
        """Print the score and what it is worth."""
        log.info(
            "test/accuracy %.2f %% (95 %% interval %.2f to %.2f; multiclass), balanced %.2f %%, macro F1 %.2f %%, "
            "on %d test faces of %s, protocol %s%s",
            *(100 * metrics[f"test/{name}"] for name in ("accuracy", "accuracy_low", "accuracy_high")),
            100 * metrics["test/balanced_accuracy"],
            100 * metrics["test/macro_f1"],
            metrics["test_faces"],
            metrics["data"],
            metrics["protocol"],
            f"; leaky: {metrics['leaks']}" if metrics["leaks"] else "",
        )
        number = int(metrics["test/faces_without_twins"])
        if number and number < metrics["test_faces"]:
            log.info(
                "test/accuracy_without_twins %.2f %% on the %d of them without a twin in training",
                100 * metrics["test/accuracy_without_twins"],
                number,
            )
        log.info(
            "the paper's equation 1 (one-vs-rest, averaged over the classes) would call this %.2f %%",
            100 * metrics["test/one_vs_rest_accuracy"],
        )
        if "too_good" in metrics:
            log.warning(metrics["too_good"])


def environment() -> dict[str, str]:
    """Return what the figures were made with."""
    packages = ("torch", "lightning", "hydra-core", "pytorch-metric-learning", "albumentations", "numpy")
    device = torch.cuda.get_device_name() if torch.cuda.is_available() else f"CPU, threads: {torch.get_num_threads()}"
    return {
        "python": platform.python_version(),
        "device": device,
        **{package: version(package) for package in packages},
    }


def training_accuracy(classifier: KNNClassifier) -> float:
    """Return how many of up to ``SAMPLE`` gallery faces the rest of the gallery classifies rightly."""
    size = len(classifier.gallery)
    sample = torch.zeros(size, dtype=torch.bool, device=classifier.gallery.device)
    sample[torch.from_numpy(np.random.default_rng(0).permutation(size)[: min(SAMPLE, size // 4)])] = True
    rest = copy.deepcopy(classifier)
    rest.fit(classifier.gallery[~sample], classifier.gallery_labels[~sample])
    predictions, _ = rest(classifier.gallery[sample])
    return (predictions == classifier.gallery_labels[sample]).float().mean().item()


def _write_csv(path: Path, header: list[str], rows: list) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    write_text(path, text.getvalue())
