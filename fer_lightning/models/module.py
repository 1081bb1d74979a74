"""The LightningModule: mine, loss, log; then classify and score."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal, NamedTuple

import lightning
import numpy as np
import torch
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor

from fer_lightning.data.classes import check_same, classes_of
from fer_lightning.data.pictures import Batch
from fer_lightning.errors import UserError
from fer_lightning.models.calibration import KEY, Calibration, calibrate, read_calibration, to_distance
from fer_lightning.models.distributed import gather_batch
from fer_lightning.models.metrics import classification_metrics, triplet_telemetry
from fer_lightning.models.network import Config, Network, build, check_weights

PIECE = 128  # faces whose activations stay in a processor's cache


class Prediction(NamedTuple):
    """What is said of B faces."""

    labels: Tensor  # (B,) int64
    votes: Tensor  # (B, C) float32, calibrated where validation faces were seen, else shares of the vote
    embeddings: Tensor  # (B, D) float32, norm 1
    raw_votes: Tensor  # (B, C) float32, shares of the vote
    abstained: Tensor  # (B,) bool, whether the network would rather not say


class ExpressionModule(Network, lightning.LightningModule):
    """A network whose embedder is trained by metric learning and whose classifier is fitted at each validation.

    Several processes embed a share of each batch and gather the embeddings, so that every one of them mines, loses,
    searches and logs what one process would.

    Args:
        embedder: Configuration of a network (B, 1, H, W) float32 in [-1, 1] -> (B, D) unit vectors.
        classifier: Configuration of a ``Classifier``; it is fitted on the training faces at each validation and saved
            with the weights.
        classes: Names of the classes, in the order of the labels.
        loss: Configuration of a loss of pytorch-metric-learning, whose own weights are trained along; None for a
            network that only predicts.
        miner: Configuration of a miner of pytorch-metric-learning, or of ``no_miner``; None as for the loss.
        optimizer: Configuration of a torch optimizer, partial: its parameters are missing.
        scheduler: Configuration of a torch scheduler, partial: its optimizer is missing. One that has ``total_steps``
            moves after each step, and that number is filled in here; any other moves once an epoch.
        triplet_margin: Squared Euclidean distance by which the loss wants a negative to be farther than the positive.
        objective: Metric that a scheduler such as ReduceLROnPlateau watches.
        mirrored: As of ``Network``.
        abstention: ``accuracy`` and ``near`` as of ``calibrate``; None for a network that only predicts.

    Attributes:
        calibration: What the last validation said of votes; saved with the weights.
        test_outputs: ``rows``, ``labels``, ``predictions`` and the fields of ``Prediction`` of the last test's faces.
    """

    def __init__(
        self,
        embedder: Config,
        classifier: Config,
        classes: Sequence[str],
        loss: Config | None,
        miner: Config | None,
        optimizer: Config | None,
        scheduler: Config | None,
        triplet_margin: float,
        objective: str,
        mirrored: bool,
        abstention: Config | None,
    ) -> None:
        super().__init__(embedder, classifier, mirrored)
        self.save_hyperparameters(logger=False)  # train.py hands the loggers the whole configuration
        # Every process has fitted the whole classifier: DDP would send it round again before each step.
        self._ddp_params_and_buffers_to_ignore = [f"classifier.{name}" for name, _ in self.classifier.named_buffers()]
        self.configure_losses(loss, miner, triplet_margin)
        self.configure_metrics(classes)
        self.abstention: Any = abstention
        self.calibration = Calibration()

    def configure_losses(self, loss: Config | None, miner: Config | None, triplet_margin: float) -> None:
        """Make what trains."""
        self.loss: Any = loss and build("loss", loss)
        self.miner: Any = miner and build("miner", miner)
        self.margin = triplet_margin

    def configure_metrics(self, classes: Sequence[str]) -> None:
        """Make what scores."""
        metrics = classification_metrics(classes)
        self.val_metrics, self.test_metrics = metrics.clone(prefix="val/"), metrics.clone(prefix="test/")
        # Embeddings and labels of the training and of the validation faces, until they are used.
        self.validated: tuple[list[tuple[Tensor, Tensor]], list[tuple[Tensor, Tensor]]] = ([], [])
        self.test_batches: list[dict[str, np.ndarray]] = []
        self.test_outputs: dict[str, np.ndarray] = {}

    def setup(self, stage: str) -> None:
        """Take the run's precision; Lightning would do so after loading a checkpoint, and round what it holds."""
        self.trainer.precision_plugin.convert_module(self)
        # Nothing reads such memory, and to fill it costs 3 % of the time under trainer.deterministic.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse weights of other classes, of another network or of no training, before they are taken."""
        fitting = self.trainer.state.fn == TrainerFn.FITTING
        source = f"{'resume_from' if fitting else 'checkpoint'}={self.trainer.ckpt_path}"
        settings = checkpoint.get("hyper_parameters")
        trained = classes_of(settings if isinstance(settings, dict) else {}, source)
        check_same(trained, self.hparams["classes"], source)
        for key in {"state_dict", "current_model_state"} & checkpoint.keys():  # the latter of averaged weights
            check_weights(self, checkpoint[key], source, fitted=not fitting)
        self.calibration = read_calibration(checkpoint, source)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what validation faces have chosen beside the weights."""
        checkpoint[KEY] = asdict(self.calibration)

    def on_fit_start(self) -> None:
        """Let the processes draw different dropout."""
        if self.global_rank:
            torch.manual_seed(torch.initial_seed() + self.global_rank)

    def forward(self, images: Tensor) -> Tensor:
        """Return what ``Network`` does; on the CPU, evaluate in pieces, a third faster than 512 faces at once."""
        if self.training or self.device.type != "cpu":
            return super().forward(images)
        return torch.cat([super(ExpressionModule, self).forward(piece) for piece in images.split(PIECE)])

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Mine and lose in float32 at least, whatever the precision of the embedder."""
        embeddings, labels = self.gather(self(batch.images)), self.gather(batch.labels)  # (B, D), (B,)
        with torch.autocast(self.device.type, enabled=False):  # half precision overflows in the distances
            mined = self.miner(embeddings, labels)
            loss = self.loss(embeddings, labels, mined)
        if self._is_written():
            self.log("train/loss", loss, prog_bar=True)
            state = triplet_telemetry(embeddings.detach(), labels, mined, self.margin)
            state["learning_rate"] = torch.tensor(self.trainer.optimizers[0].param_groups[0]["lr"])
            if self.margin:
                state["loss_over_margin"] = loss.detach() / self.margin  # 1 where all embeddings are equal
            self.log_dict({f"train/{name}": number for name, number in state.items()})
        return {"loss": loss, "embeddings": embeddings.detach(), "labels": labels}

    def _is_written(self) -> bool:
        """Return whether loggers, the bar or the epoch's line show this step: to log costs time."""
        trainer, step = self.trainer, self.global_step + 1
        every = trainer.log_every_n_steps  # type: ignore[attr-defined]  # another class of Lightning's sets it
        return step % every == 0 or trainer.is_last_batch or trainer.should_stop

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int) -> None:
        """Collect the training faces of the first loader and the validation faces of the second."""
        self.validated[dataloader_idx].append((self.gather(self(batch.images)), self.gather(batch.labels)))

    def on_validation_epoch_end(self) -> None:
        """Fit the classifier, let it choose what it leaves open, and log the exact metrics of the validation faces."""
        (known, classes), (embeddings, labels) = (map(torch.cat, zip(*faces, strict=True)) for faces in self.validated)
        self.validated = ([], [])
        self.classifier.fit(known, classes)
        self.log_dict({f"val/{name}": score for name, score in self.classifier.choose(embeddings, labels).items()})
        decision = self.classifier.decide(embeddings)
        self.calibration = calibrate(decision, labels, **self.abstention)
        self.val_metrics.update(
            decision.labels, labels
        )  # each process has all faces, so their sums over processes agree
        self.log_dict(self.val_metrics.compute())
        self.val_metrics.reset()
        self.log("train/accuracy", self.classifier.held_in_accuracy())

    def predict_step(self, batch: Batch, batch_idx: int) -> Prediction:
        """Classify faces by what was saved with the weights."""
        embeddings = self(batch.images)
        labels, raw_votes, near = self.classifier.decide(embeddings)
        shares = self.calibration.probabilities(raw_votes.cpu().numpy())
        confidence = shares[np.arange(len(shares)), labels.cpu().numpy()]
        distances = None if near is None else to_distance(near.similarities[:, 0].cpu().numpy())
        found = (shares, self.calibration.abstains(confidence, distances))
        votes, abstained = (torch.from_numpy(values).to(labels.device) for values in found)
        return Prediction(labels, votes, embeddings, raw_votes, abstained)

    def on_test_start(self) -> None:
        """Forget an earlier test."""
        self.test_batches, self.test_outputs = [], {}

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Classify a batch and keep what all processes found."""
        said = self.predict_step(batch, batch_idx)
        self.test_metrics.update(said.labels, batch.labels)
        found = {
            **said._asdict(),
            "predictions": said.labels,
            "rows": batch.rows,
            "labels": batch.labels,
            "abstained": said.abstained.long(),  # gloo gathers no bool
        }
        self.test_batches.append({name: self.gather(values).cpu().numpy() for name, values in found.items()})

    def on_test_epoch_end(self) -> None:
        """Log the metrics of the test faces; keep their outputs as one."""
        self.log_dict(self.test_metrics.compute())
        self.test_metrics.reset()
        batches, self.test_batches = self.test_batches, []
        self.test_outputs = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}

    def gather(self, share: Tensor) -> Tensor:
        """Return the batch (B, ...) of all processes, as ``gather_batch`` does; the share is all where there is one."""
        return share if self.trainer.world_size == 1 else gather_batch(share, even=self.training)

    def metric_names(self, stage: Literal["val", "test"]) -> list[str]:
        """Return what ``stage`` logs, found out on one made-up face per class."""
        metrics = (self.val_metrics if stage == "val" else self.test_metrics).clone()
        classes = torch.arange(len(self.hparams["classes"]), device=self.device)
        metrics.update(classes, classes)
        return [*metrics.compute(), *(f"{stage}/{name}" for name in self.classifier.scores if stage == "val")]

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Return the optimizer of all weights, with those of the loss, and the scheduler of its rate.

        Raises:
            UserError: If torch refuses an argument.
        """
        settings: Any = self.hparams
        config = dict(settings["scheduler"])
        by_step = "total_steps" in config
        if by_step:
            config["total_steps"] = self.total_steps()
        try:
            optimizer = build("optimizer", settings["optimizer"])(self.parameters())
            scheduler = build("scheduler", config)(optimizer)
        except ZeroDivisionError as error:  # OneCycleLR's, if the rate rises for a single step
            share = f"scheduler.pct_start={config['pct_start']} of {config['total_steps']} steps"
            raise UserError(f"{share} is one step, which cannot rise: change it, or train longer") from error
        except (TypeError, ValueError) as error:
            raise UserError(f"optimizer or scheduler: {error}") from error
        return {
            "optimizer": optimizer,
            "lr_scheduler": {
                "scheduler": scheduler,
                "interval": "step" if by_step else "epoch",
                "monitor": settings["objective"],
            },
        }

    def total_steps(self) -> int:
        """Return the optimizer's steps of the whole run.

        A run that goes on finds the number in its checkpoint. To count would load the pictures before Lightning knows
        where in the epoch they begin; of the number that stands in for it, no ``pct_start`` is a single step.
        """
        return 10**9 if self.trainer.ckpt_path else int(self.trainer.estimated_stepping_batches)
