"""The LightningModule: mine, loss, log; then classify with k-NN and score."""

from collections.abc import Callable
from functools import partial

import lightning
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from pytorch_metric_learning.losses import TripletMarginLoss
from torch import Tensor, nn
from torch.nn.functional import pad

from fer_lightning.data.faces import CLASSES
from fer_lightning.data.pictures import Batch
from fer_lightning.errors import NotFiniteError, UserError
from fer_lightning.models.classifiers import KNNClassifier
from fer_lightning.models.distributed import gather
from fer_lightning.models.metrics import classification_metrics, triplet_telemetry

Miner = Callable[[Tensor, Tensor], tuple[Tensor, ...] | None]


class ExpressionModule(lightning.LightningModule):
    """Embedder trained by metric learning, k-NN classifier fitted at each validation.

    Several processes embed a share of each batch and gather the embeddings, so that every one of them mines, loses,
    searches and logs what one process would.

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
        # Every process has the whole gallery: DDP would send it round again before each step.
        self._ddp_params_and_buffers_to_ignore = ["classifier.gallery", "classifier.gallery_labels"]

    def on_fit_start(self) -> None:
        """Let the processes draw different dropout."""
        if self.global_rank:
            torch.manual_seed(torch.initial_seed() + self.global_rank)

    def forward(self, images: Tensor) -> Tensor:
        """Return (B, D) unit vectors, float32 at least, for images (B, 1, H, W) float32 in [-1, 1]."""
        embeddings = self.embedder(images.contiguous(memory_format=torch.channels_last))
        return embeddings.to(torch.promote_types(embeddings.dtype, torch.float32))

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Mine and lose in float32 at least, whatever the precision of the embedder.

        Raises:
            NotFiniteError: If an embedding or the loss is not finite; the weights are still those of the step before.
        """
        embeddings, labels = self.gather(self(batch.images)), self.gather(batch.labels)  # (B, D), (B,)
        if not torch.isfinite(embeddings).all():  # a miner would pass over them in silence
            raise NotFiniteError(
                f"an embedding is not finite at step {self.global_step}: lower optimizer.lr or use trainer.precision=32"
            )
        with torch.autocast(self.device.type, enabled=False):  # half precision overflows in the distances
            mined = self.miner(embeddings, labels)
            loss = self.loss(embeddings, labels, mined)
        if not torch.isfinite(loss):
            raise NotFiniteError(
                f"the loss is {loss.item()} at step {self.global_step}: lower optimizer.lr or use trainer.precision=32"
            )
        telemetry = triplet_telemetry(embeddings.detach(), labels, mined, self.margin)
        self.log("train/loss", loss, prog_bar=True)
        self.log("train/learning_rate", self.optimizers().param_groups[0]["lr"])
        self.log_dict({f"train/{name}": number for name, number in telemetry.items()})
        return {"loss": loss, "embeddings": embeddings.detach(), "labels": labels}

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int) -> None:
        """Collect the gallery from the first loader, classify the faces of the second against it."""
        embeddings = self(batch.images)
        if dataloader_idx == 0:
            self._gallery.append((self.gather(embeddings), self.gather(batch.labels)))
            return
        self._fit_classifier()
        predictions, _ = self.classifier(embeddings)
        self.metrics["val"].update(predictions, batch.labels)

    def on_validation_epoch_end(self) -> None:
        """Log the exact metrics of the validation faces."""
        self.log_dict(self.metrics["val"].compute())
        self.metrics["val"].reset()

    def test_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Classify against the gallery that was saved with the weights; return the batch of all processes."""
        embeddings = self(batch.images)
        predictions, votes = self.classifier(embeddings)
        self.metrics["test"].update(predictions, batch.labels)
        outputs = {
            "rows": batch.rows,
            "labels": batch.labels,
            "predictions": predictions,
            "votes": votes,
            "embeddings": embeddings,
        }
        return {name: self.gather(values) for name, values in outputs.items()}

    def on_test_epoch_end(self) -> None:
        """Log the metrics of the test faces."""
        self.log_dict(self.metrics["test"].compute())
        self.metrics["test"].reset()

    def gather(self, share: Tensor) -> Tensor:
        """Return the batch (B, ...) of all processes from this one's share (b, ...), in the order of the sampler.

        Gradients come back summed over the processes. Each computes the whole loss, so they come back ``world_size``
        times too large, and DDP, which takes the mean over the processes, makes them those of one process.
        """
        if self.trainer.world_size == 1:
            return share
        missing = 0
        if not self.training:  # the last batch of an evaluation may give some processes one row less
            sizes = gather(torch.tensor(len(share), device=self.device))
            missing = int(sizes.max()) - len(share)
        padded = pad(share, [0, 0] * (share.dim() - 1) + [0, missing])
        whole = gather(padded).transpose(0, 1).flatten(0, 1)  # row i is process i % world's
        return whole if self.training else whole[: int(sizes.sum())]

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
