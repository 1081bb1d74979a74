"""The LightningModule: mine, loss, log; then classify with k-NN and score."""

from collections.abc import Callable
from functools import partial

import lightning
import torch
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from pytorch_metric_learning.distances import LpDistance
from torch import Tensor, nn
from torch.nn.functional import normalize, pad
from torchmetrics import Accuracy, ClasswiseWrapper, F1Score, MetricCollection, Precision, Recall

from fer_lightning.data.datamodule import Batch
from fer_lightning.data.faces import CLASSES
from fer_lightning.errors import NotFiniteError, UserError
from fer_lightning.knn import KNNClassifier
from fer_lightning.processes import gather
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

    Several processes embed a share of each batch and gather the embeddings, so that every one of them mines, loses,
    searches and logs what one process would.

    Args:
        embedder: (B, 1, H, W) float32 in [-1, 1] -> (B, D) unit vectors.
        loss: A loss of pytorch-metric-learning; weights of its own are trained along.
        miner: A miner of pytorch-metric-learning, or ``no_miner``.
        classifier: Fitted on the training faces at each validation and saved with the weights.
        optimizer: Partial of a torch optimizer, lacking its parameters.
        scheduler: Partial of a torch scheduler, lacking its optimizer. One that is given ``total_steps`` moves after
            each step, and that number is filled in here; any other moves once an epoch.
        objective: Metric of the validation that a scheduler may watch.
        mirrored: Whether validation, test and everything after them embed a face as the mean of its picture's and its
            mirror image's vectors, at norm 1.
    """

    def __init__(
        self,
        embedder: nn.Module,
        loss: nn.Module,
        miner: Miner,
        classifier: KNNClassifier,
        optimizer: partial,
        scheduler: partial,
        objective: str,
        mirrored: bool,
    ) -> None:
        super().__init__()
        # A training step on the CPU is 1.2 to 1.8 times faster on channels-last weights (benchmarks/train_step.py).
        self.embedder = embedder.to(memory_format=torch.channels_last)
        self.loss = loss
        self.miner = miner
        self.classifier = classifier
        self.optimizer = optimizer
        self.scheduler = scheduler
        self.objective = objective
        self.mirrored = mirrored
        # Losses without a margin of distances count a triplet as active while its negative is nearer than its positive.
        self.margin = loss.margin if isinstance(getattr(loss, "distance", None), LpDistance) else 0.0
        metrics = classification_metrics(len(CLASSES))
        self.metrics = nn.ModuleDict({stage: metrics.clone(prefix=f"{stage}/") for stage in ("val", "test")})
        self._gallery: list[tuple[Tensor, Tensor]] = []
        self._validation: list[tuple[Tensor, Tensor]] = []
        # Every process has the whole gallery: DDP would send it round again before each step.
        self._ddp_params_and_buffers_to_ignore = ["classifier.gallery", "classifier.gallery_labels"]

    def on_fit_start(self) -> None:
        """Let the processes draw different dropout."""
        if self.global_rank:
            torch.manual_seed(torch.initial_seed() + self.global_rank)

    def forward(self, images: Tensor) -> Tensor:
        """Return (B, D) unit vectors, float32 at least, for images (B, 1, H, W) float32 in [-1, 1]."""
        embeddings = self._embed(images)
        if self.mirrored and not self.training:
            embeddings = normalize(embeddings + self._embed(images.flip(3)), dim=1)
        return embeddings

    def _embed(self, images: Tensor) -> Tensor:
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
        if self.margin:
            self.log("train/loss_over_margin", loss / self.margin)  # 1 where all embeddings are equal
        return {"loss": loss, "embeddings": embeddings.detach(), "labels": labels}

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int) -> None:
        """Collect the gallery from the first loader and the validation faces from the second."""
        faces = self._validation if dataloader_idx else self._gallery
        faces.append((self.gather(self(batch.images)), self.gather(batch.labels)))

    def on_validation_epoch_end(self) -> None:
        """Fit the classifier, let it choose its k, and log the exact metrics of the validation faces."""
        self.classifier.fit(*map(torch.cat, zip(*self._gallery, strict=True)))
        embeddings, labels = map(torch.cat, zip(*self._validation, strict=True))
        self._gallery, self._validation = [], []
        self.log_dict({f"val/{name}": score for name, score in self.classifier.choose(embeddings, labels).items()})
        predictions, _ = self.classifier(embeddings)
        self.metrics["val"].update(predictions, labels)  # each process has all faces, so its sums over processes agree
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

    def on_load_checkpoint(self, checkpoint: dict) -> None:
        """Refuse the weights of another network, before torch does so at length."""
        check_weights(self, checkpoint["state_dict"], "the checkpoint")

    def metric_names(self, stage: str) -> list[str]:
        """Return what ``stage`` logs, found out on one made-up face per class."""
        metrics, classes = self.metrics[stage].clone(), torch.arange(len(CLASSES), device=self.device)
        metrics.update(classes, classes)
        return [*metrics.compute(), *(f"{stage}/{name}" for name in self.classifier.scores if stage == "val")]

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Return the optimizer over every weight, the loss's included, and the scheduler.

        Raises:
            UserError: If torch refuses an argument of theirs.
        """
        try:
            optimizer = self.optimizer(self.parameters())
            by_step = "total_steps" in self.scheduler.keywords
            scheduler = self.scheduler(optimizer, **({"total_steps": self._total_steps()} if by_step else {}))
        except (TypeError, ValueError) as error:
            raise UserError(f"optimizer or scheduler: {error}") from error
        return {
            "optimizer": optimizer,
            "lr_scheduler": {
                "scheduler": scheduler,
                "interval": "step" if by_step else "epoch",
                "monitor": self.objective,
            },
        }

    def _total_steps(self) -> int:
        """Return the optimizer's steps of the whole run.

        A run that goes on finds the number in its checkpoint. To count would load the pictures before Lightning knows
        where in the epoch they begin.
        """
        return 2 if self.trainer.ckpt_path else int(self.trainer.estimated_stepping_batches)
