"""The LightningModule: mine, loss, log; then classify with k-NN and score."""

from collections.abc import Callable
from functools import partial

import lightning
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from pytorch_metric_learning.losses import TripletMarginLoss
from torch import Tensor, nn
from torchmetrics import Accuracy, ClasswiseWrapper, F1Score, MetricCollection, Precision, Recall

from fer_lightning.data.datamodule import Batch
from fer_lightning.data.faces import CLASSES
from fer_lightning.errors import NotFiniteError, UserError
from fer_lightning.knn import KNNClassifier
from fer_lightning.telemetry import triplet_telemetry
from fer_lightning.weights import check_weights

Miner = Callable[[Tensor, Tensor], tuple[Tensor, ...] | None]


def no_miner(embeddings: Tensor, labels: Tensor) -> None:
    """Choose nothing: the loss forms the pairs or triplets of the batch itself."""


def classification_metrics(num_classes: int) -> MetricCollection:
    """Return the multiclass metrics: over all faces, as mean over the classes, and per class."""
    options = {"task": "multiclass", "num_classes": num_classes}
    per_class = {
        name: ClasswiseWrapper(metric(average="none", **options), labels=list(CLASSES), prefix=f"{name}_")
        for name, metric in (("precision", Precision), ("recall", Recall), ("f1", F1Score))
    }
    return MetricCollection(
        {
            "accuracy": Accuracy(average="micro", **options),
            "balanced_accuracy": Accuracy(average="macro", **options),
            "macro_precision": Precision(average="macro", **options),
            "macro_recall": Recall(average="macro", **options),
            "macro_f1": F1Score(average="macro", **options),
            **per_class,
        },
        compute_groups=False,
    )


class ExpressionModule(lightning.LightningModule):
    """Embedder trained by metric learning, k-NN classifier fitted at each validation.

    Args:
        embedder: (B, 1, H, W) float32 in [-1, 1] -> (B, D) unit vectors.
        loss: A loss of pytorch-metric-learning; weights of its own are trained along.
        miner: A miner of pytorch-metric-learning, or ``no_miner``.
        classifier: Fitted on the training faces at each validation and saved with the weights.
        optimizer: Partial of a torch optimizer, lacking its parameters.
        scheduler: Partial of a torch scheduler, lacking its optimizer; moves once an epoch.
    """

    def __init__(
        self,
        embedder: nn.Module,
        loss: nn.Module,
        miner: Miner,
        classifier: KNNClassifier,
        optimizer: partial,
        scheduler: partial,
    ) -> None:
        super().__init__()
        # A training step on the CPU is 1.2 to 1.8 times faster on channels-last weights (benchmarks/train_step.py).
        self.embedder = embedder.to(memory_format=torch.channels_last)
        self.loss = loss
        self.miner = miner
        self.classifier = classifier
        self.optimizer = optimizer
        self.scheduler = scheduler
        # Losses without a distance margin count a triplet as active while its negative is nearer than its positive.
        self.margin = loss.margin if isinstance(loss, TripletMarginLoss) else 0.0
        metrics = classification_metrics(len(CLASSES))
        self.metrics = nn.ModuleDict({stage: metrics.clone(prefix=f"{stage}/") for stage in ("val", "test")})
        self._gallery: list[tuple[Tensor, Tensor]] = []

    def forward(self, images: Tensor) -> Tensor:
        """Return (B, D) float32 unit vectors for images (B, 1, H, W) float32 in [-1, 1]."""
        return self.embedder(images.contiguous(memory_format=torch.channels_last)).float()

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Mine and lose in float32, whatever the precision of the embedder.

        Raises:
            NotFiniteError: If an embedding or the loss is not finite; the weights are still those of the step before.
        """
        embeddings = self(batch.images)  # (B, D)
        if not torch.isfinite(embeddings).all():  # a miner would pass over them in silence
            raise NotFiniteError(
                f"an embedding is not finite at step {self.global_step}: lower optimizer.lr or use trainer.precision=32"
            )
        with torch.autocast(self.device.type, enabled=False):  # half precision overflows in the distances
            mined = self.miner(embeddings, batch.labels)
            loss = self.loss(embeddings, batch.labels, mined)
        if not torch.isfinite(loss):
            raise NotFiniteError(
                f"the loss is {loss.item()} at step {self.global_step}: lower optimizer.lr or use trainer.precision=32"
            )
        telemetry = triplet_telemetry(embeddings.detach(), batch.labels, mined, self.margin)
        self.log("train/loss", loss, prog_bar=True)
        self.log("train/learning_rate", self.optimizers().param_groups[0]["lr"])
        self.log_dict({f"train/{name}": number for name, number in telemetry.items()})
        return {"loss": loss, "embeddings": embeddings.detach(), "labels": batch.labels}

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int) -> None:
        """Collect the gallery from the first loader, classify the faces of the second against it."""
        embeddings = self(batch.images)
        if dataloader_idx == 0:
            self._gallery.append((embeddings, batch.labels))
            return
        self._fit_classifier()
        predictions, _ = self.classifier(embeddings)
        self.metrics["val"].update(predictions, batch.labels)

    def on_validation_epoch_end(self) -> None:
        """Log the exact metrics of the validation faces."""
        self.log_dict(self.metrics["val"].compute())
        self.metrics["val"].reset()

    def test_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Classify against the gallery that was saved with the weights."""
        embeddings = self(batch.images)
        predictions, votes = self.classifier(embeddings)
        self.metrics["test"].update(predictions, batch.labels)
        return {
            "rows": batch.rows,
            "labels": batch.labels,
            "predictions": predictions,
            "votes": votes,
            "embeddings": embeddings,
        }

    def on_test_epoch_end(self) -> None:
        """Log the metrics of the test faces."""
        self.log_dict(self.metrics["test"].compute())
        self.metrics["test"].reset()

    def on_load_checkpoint(self, checkpoint: dict) -> None:
        """Refuse the weights of another network, before torch does so at length."""
        check_weights(self, checkpoint["state_dict"], "the checkpoint")

    def metric_names(self, stage: str) -> list[str]:
        """Return what ``stage`` logs, found out on one made-up face per class."""
        metrics, classes = self.metrics[stage].clone(), torch.arange(len(CLASSES), device=self.device)
        metrics.update(classes, classes)
        return list(metrics.compute())

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Return the optimizer over every weight, the loss's included, and the scheduler.

        Raises:
            UserError: If torch refuses an argument of theirs.
        """
        try:
            optimizer = self.optimizer(self.parameters())
            scheduler = self.scheduler(optimizer)
        except (TypeError, ValueError) as error:
            raise UserError(f"optimizer or scheduler: {error}") from error
        return {
            "optimizer": optimizer,
            "lr_scheduler": {"scheduler": scheduler, "interval": "epoch", "monitor": "val/accuracy"},
        }

    def _fit_classifier(self) -> None:
        if self._gallery:
            embeddings, labels = zip(*self._gallery, strict=True)
            self.classifier.fit(torch.cat(embeddings), torch.cat(labels))
            self._gallery = []
