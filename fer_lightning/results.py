"""What a run leaves behind: metrics.json, predictions.csv, confusion_matrix.png."""

import csv
import io
import json
import logging
import time
from collections.abc import Mapping
from pathlib import Path

import lightning
import numpy as np
from lightning.pytorch.callbacks import Callback
from matplotlib.figure import Figure

import fer_lightning
from fer_lightning.data.audit import ceiling
from fer_lightning.data.faces import CLASSES
from fer_lightning.files import write_json, write_text
from fer_lightning.statistics import intervals, one_vs_rest

log = logging.getLogger(__name__)


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
        """Start the clock, of a resumed run where it stood."""
        self.start = time.monotonic() - self.earlier_seconds

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
        """Write everything."""
        datamodule = trainer.datamodule
        faces, partition = datamodule.faces, datamodule.partition
        columns = {name: np.concatenate([output[name] for output in self.outputs]) for name in self.outputs[0]}
        rows, labels, predictions = columns["rows"], columns["labels"], columns["predictions"]
        groups, seen = partition.groups[rows], partition.seen(rows)
        unseen = self._uncertainty(labels, predictions, groups, seen)
        limit, reason = ceiling(faces, partition.twins.identical[partition.origins[rows]], labels)
        metrics = {
            **{name: value.item() for name, value in trainer.callback_metrics.items() if name.startswith("test/")},
            **unseen,
            **(self.training or {**self._earlier(), "test_seconds": round(time.monotonic() - self.start, 1)}),
            "settings": self.settings,
            "data": faces.source,
            "data_fingerprint": faces.fingerprint,
            "labels_allow": limit,
            "protocol": datamodule.protocol.func.__name__,
            "proves": partition.proves,
            "leaks": "; ".join(partition.leaks()),
            "train_faces": len(partition.train),
            "test_faces": len(rows),  # fewer than the protocol's under trainer.limit_test_batches
            "left_out": partition.left_out,
            "version": fer_lightning.__version__,
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
        confusion_figure(pl_module.confusion.compute().cpu().numpy(), f"{faces.source}, {metrics['protocol']}").savefig(
            self.folder / "confusion_matrix.png", dpi=150
        )
        pl_module.confusion.reset()
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
        """Print the score, what it is worth, and where everything is."""
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
        log.info("results: %s", self.folder)


def confusion_figure(counts: np.ndarray, title: str) -> Figure:
    """Return a confusion matrix (C, C), rows true and columns predicted, as share of each row with its count."""
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    figure = Figure(figsize=(7, 6), layout="constrained")
    axes = figure.add_subplot()
    picture = axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares):
        color = "white" if share > 0.5 else "black"
        text = f"{share:.0%}\n{int(counts[row, column]):,}"
        axes.text(column, row, text, ha="center", va="center", color=color, fontsize=8)
    axes.set_xticks(range(len(CLASSES)), CLASSES, rotation=45, ha="right")
    axes.set_yticks(range(len(CLASSES)), CLASSES)
    axes.set(xlabel="predicted", ylabel="label", title=title)
    figure.colorbar(picture, label="share of the label's faces")
    return figure


def _write_csv(path: Path, header: list[str], rows: list) -> None:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    write_text(path, text.getvalue())
