"""What a run leaves behind: metrics.json, predictions.csv, confusion_matrix.png."""

import csv
import logging
import time
from pathlib import Path

import lightning
import numpy as np
from lightning.pytorch.callbacks import Callback
from matplotlib.figure import Figure

import fer_lightning
from fer_lightning.data.faces import CLASSES
from fer_lightning.files import write_json

log = logging.getLogger(__name__)


class Results(Callback):
    """Write the results of a test into the run's folder and name them on the console.

    Args:
        output_dir: The run's folder.
        objective: Metric that chose the checkpoint.
    """

    def __init__(self, output_dir: str, objective: str) -> None:
        self.folder = Path(output_dir)
        self.objective = objective
        self.training: dict[str, float] = {}
        self.outputs: list[dict] = []
        self.pictures = 0
        self.start = time.monotonic()

    def on_fit_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Start the clock."""
        self.start = time.monotonic()

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
        metrics = {
            **{name: value.item() for name, value in trainer.callback_metrics.items() if name.startswith("test/")},
            **(self.training or {"elapsed_seconds": round(time.monotonic() - self.start, 1)}),
            "data": faces.source,
            "data_fingerprint": faces.fingerprint,
            "best_possible": faces.best_possible,
            "protocol": datamodule.protocol.func.__name__,
            "leaks": partition.leaks,
            "train_faces": len(partition.train),
            "test_faces": len(columns["rows"]),  # fewer than the protocol's under trainer.limit_test_batches
            "left_out": partition.left_out,
            "version": fer_lightning.__version__,
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        write_json(self.folder / "metrics.json", metrics)
        if faces.unreadable:
            _write_csv(self.folder / "bad_images.csv", ["file", "reason"], faces.unreadable)
        votes = columns["votes"].max(axis=1)
        _write_csv(
            self.folder / "predictions.csv",
            ["file", "label", "prediction", "vote"],
            [
                [faces.names[row], CLASSES[label], CLASSES[prediction], f"{vote:.6f}"]
                for row, label, prediction, vote in zip(
                    columns["rows"], columns["labels"], columns["predictions"], votes, strict=True
                )
            ],
        )
        confusion_figure(pl_module.confusion.compute().cpu().numpy(), f"{faces.source}, {metrics['protocol']}").savefig(
            self.folder / "confusion_matrix.png", dpi=150
        )
        pl_module.confusion.reset()
        ceiling = f" (labels allow {faces.best_possible:.1%})" if faces.best_possible else ""
        log.info(
            "test/accuracy %.2f %%%s, balanced %.2f %%, macro F1 %.2f %% on %d test faces of %s, protocol %s%s",
            100 * metrics["test/accuracy"],
            ceiling,
            100 * metrics["test/balanced_accuracy"],
            100 * metrics["test/macro_f1"],
            metrics["test_faces"],
            faces.source,
            metrics["protocol"],
            f"; leaky: {partition.leaks}" if partition.leaks else "",
        )
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
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        writer.writerows(rows)
