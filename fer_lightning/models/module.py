"""The LightningModule: train the embedder, fit the classifier, score both."""

import logging
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, NamedTuple, TypedDict

import lightning
import numpy as np
import torch
from lightning.pytorch.trainer.states import TrainerFn
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor

from fer_lightning.data import draws
from fer_lightning.data.classes import check_same, classes_of
from fer_lightning.data.pictures import Batch
from fer_lightning.errors import UserError
from fer_lightning.kinds import Metric, Names, NotNegative, Part, Share
from fer_lightning.models.calibration import KEY, Calibration, calibrate, read_calibration, to_distance
from fer_lightning.models.distributed import gather_batch
from fer_lightning.models.metrics import classification_metrics, present_alone, spread, triplet_telemetry
from fer_lightning.models.miners import no_miner
from fer_lightning.models.network import Config, Network, build, check_weights

log = logging.getLogger(__name__)

PIECE = 128  # faces of an evaluation on the CPU, whose activations stay in its cache


class Abstention(TypedDict):
    """Faces that a trained network answers.

    Attributes:
        accuracy: Accuracy of the faces that are answered, at least; null: all are answered.
        near: Share of the validation faces that count as near enough to the training faces.
    """

    accuracy: Share | None
    near: Share


class Prediction(NamedTuple):
    """The prediction for B faces."""

    labels: Tensor  # (B,) int64
    votes: Tensor  # (B, C) float32, calibrated; shares of the vote if no validation has calibrated them
    embeddings: Tensor  # (B, D) float32, norm 1
    raw_votes: Tensor  # (B, C) float32, shares of the vote
    abstained: Tensor  # (B,) bool, whether the network abstains


class ExpressionModule(Network, lightning.LightningModule):
    """A network whose embedder is trained by metric learning and whose classifier is fitted at each validation.

    Several processes embed a share of each batch and gather all embeddings. So every process computes the loss, the
    neighbours and the metrics of the whole batch, as a single process would.

    Args:
        embedder: Configuration of a network (B, 1, H, W) float32 in [-1, 1] -> (B, D) unit vectors.
        classifier: Configuration of a ``Classifier``; it is fitted on the training faces at each validation and saved
            with the weights.
        classes: Names of the classes, in the order of the labels.
        loss: Configuration of a loss of pytorch-metric-learning, whose own weights are trained along. In Python,
            None for a network that only predicts; so too the next three and ``abstention``.
        miner: Configuration of a miner of pytorch-metric-learning, or of ``no_miner``.
        optimizer: Configuration of a torch optimizer, partial: its parameters are missing.
        scheduler: Configuration of a torch scheduler, partial: its optimizer is missing. One that has ``total_steps``
            moves after each step, and that number is filled in here; any other moves once an epoch.
        triplet_margin: Squared Euclidean distance by which the loss wants a negative to be farther than the positive.
        objective: Metric that a scheduler such as ReduceLROnPlateau watches.
        mirrored: Whether a face is embedded as the mean of its image and mirror image, from validation on.
        abstention: When the trained network abstains: ``accuracy`` and ``near`` of ``calibrate``.
    """

    def __init__(
        self,
        embedder: Part[Config],
        classifier: Part[Config],
        classes: Names,
        loss: Part[Config],
        miner: Part[Config],
        optimizer: Part[Config],
        scheduler: Part[Config],
        triplet_margin: NotNegative,
        objective: Metric,
        mirrored: bool,
        abstention: Abstention,
    ) -> None:
        super().__init__(embedder, classifier, mirrored)
        self.save_hyperparameters(logger=False)  # train.py gives the loggers the whole configuration
        # Every process fits the whole classifier. DDP would broadcast its buffers before each step.
        self._ddp_params_and_buffers_to_ignore = [f"classifier.{name}" for name, _ in self.classifier.named_buffers()]
        self.loss: Any = build("loss", loss) if loss else None
        self.miner: Any = build("miner", miner) if miner else None
        self.margin = triplet_margin
        # A softmax or pairs without a miner know no triplets, and nothing is logged of them.
        self.has_triplets = bool(triplet_margin) or getattr(self.miner, "func", None) is not no_miner
        self.abstention: Any = abstention
        self.calibration = Calibration()  # by the last validation, saved with the weights
        self.logged = False  # whether the latest training step is logged; in others nothing waits for the device
        self.draw: draws.Draw | None = None  # of the last validation, saved with the weights
        self.absent: Sequence[str] = ()  # classes of which a test on another data set has no face
        metrics = classification_metrics(classes)
        self.val_metrics, self.test_metrics = metrics.clone(prefix="val/"), metrics.clone(prefix="test/")
        # Batches of embeddings and labels: of the training faces, and of the validation faces.
        self.validated: tuple[list[tuple[Tensor, Tensor]], list[tuple[Tensor, Tensor]]] = ([], [])
        self.test_batches: list[dict[str, np.ndarray]] = []
        self.test_outputs: dict[str, np.ndarray] = {}  # (N, ...) of the last test, by the names in ``test_step``

    def setup(self, stage: str) -> None:
        """Convert to the run's precision. Lightning would do it after it loads a checkpoint, and round the weights."""
        self.trainer.precision_plugin.convert_module(self)
        # Under trainer.deterministic, torch would fill new memory: 3 % of the time for nothing.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Refuse a checkpoint of other classes or of another network."""
        fitting = self.trainer.state.fn == TrainerFn.FITTING
        source = f"{'resume_from' if fitting else 'checkpoint'}={self.trainer.ckpt_path}"
        settings = checkpoint.get("hyper_parameters")
        trained = classes_of(settings if isinstance(settings, dict) else {}, source)
        check_same(trained, self.hparams["classes"], source)
        if not fitting and "description" in checkpoint:  # a bundle, which has no weights of a loss
            self.loss = None
        for key in {"state_dict", "current_model_state"} & checkpoint.keys():  # the second with averaged weights
            check_weights(self, checkpoint[key], source, fitted=not fitting)
        self.calibration = read_calibration(checkpoint, source)
        self.draw = draws.read_draw(checkpoint, source)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add the calibration to the checkpoint, and the draw if there is one."""
        checkpoint[KEY] = asdict(self.calibration)
        if self.draw:
            checkpoint[draws.KEY] = asdict(self.draw)

    def on_fit_start(self) -> None:
        """Give each process its own random numbers for dropout."""
        if self.global_rank:
            torch.manual_seed(torch.initial_seed() + self.global_rank)

    def forward(self, images: Tensor) -> Tensor:
        """Return one unit vector per face, as ``Network`` does.

        An evaluation on the CPU takes ``PIECE`` faces at a time, which is a third faster than 512 at once.
        """
        if self.training or self.device.type != "cpu":
            return super().forward(images)
        return torch.cat([super(ExpressionModule, self).forward(piece) for piece in images.split(PIECE)])

    def training_step(self, batch: Batch, batch_idx: int) -> dict[str, Tensor]:
        """Return the loss of a batch, with its embeddings (B, D) and labels (B,).

        Miner and loss compute in float32 or more, whatever the precision of the embedder.
        """
        embeddings, labels = self.gather(self(batch.images)), self.gather(batch.labels)  # (B, D), (B,)
        targets = self.gather(batch.targets)  # (B,) or (B, C)
        with torch.autocast(self.device.type, enabled=False):  # distances overflow in half precision
            mined = self.miner(embeddings, labels)
            loss = self.loss(embeddings, targets, mined)
        step, every = self.global_step + 1, self.trainer.log_every_n_steps  # type: ignore[attr-defined]  # set elsewhere
        self.logged = step % every == 0 or self.trainer.is_last_batch or self.trainer.should_stop
        if self.logged:
            self.log("train/loss", loss)
            telemetry = {"spread": spread(embeddings.detach())}
            if self.has_triplets:
                telemetry = triplet_telemetry(embeddings.detach(), labels, mined, self.margin)
            telemetry["learning_rate"] = torch.tensor(self.trainer.optimizers[0].param_groups[0]["lr"])
            self.log_dict({f"train/{name}": value for name, value in telemetry.items()})
        return {"loss": loss, "embeddings": embeddings.detach(), "labels": labels}

    def validation_step(self, batch: Batch, batch_idx: int, dataloader_idx: int) -> None:
        """Collect the training faces of the first loader and the validation faces of the second."""
        self.validated[dataloader_idx].append((self.gather(self(batch.images)), self.gather(batch.labels)))

    def on_validation_epoch_end(self) -> None:
        """Fit the classifier on the training faces; choose its settings, calibrate and log on the validation faces."""
        (gallery, gallery_labels), (embeddings, labels) = (
            map(torch.cat, zip(*batches, strict=True)) for batches in self.validated
        )
        self.validated = ([], [])
        self._note_draw(len(gallery), len(embeddings))
        self.classifier.fit(gallery, gallery_labels)
        scores = self.classifier.choose(embeddings, labels)
        self.log_dict({f"val/{name}": score for name, score in scores.items()})
        decision = self.classifier.decide(embeddings)
        self.calibration = calibrate(decision, labels, **self.abstention)
        self.val_metrics.update(decision.labels, labels)  # every process has all faces, so all agree
        self.log_dict(self.val_metrics.compute())
        self.val_metrics.reset()
        self.log("val/spread", spread(embeddings))
        self.log("train/accuracy", self.classifier.held_in_accuracy())

    def _note_draw(self, gallery: int, validated: int) -> None:
        """Note whether a validation of so many faces was limited to a draw; log it once."""
        loaders: Any = self.trainer.val_dataloaders
        training, validation = (loader.dataset for loader in loaders)
        earlier, self.draw = self.draw, None
        if gallery < len(training) or validated < len(validation):
            self.draw = draws.Draw(training.rows[:gallery].tolist(), len(training), validated, len(validation))
            if earlier is None:
                log.warning("%s", self.draw)

    def predict_step(self, batch: Batch, batch_idx: int) -> Prediction:
        """Return the prediction for a batch, by the fitted classifier and its calibration."""
        embeddings = self(batch.images)
        labels, raw_votes, neighbours = self.classifier.decide(embeddings)
        votes = self.calibration.probabilities(raw_votes.cpu().numpy())
        confidence = votes[np.arange(len(votes)), labels.cpu().numpy()]
        distances = None if neighbours is None else to_distance(neighbours.similarities[:, 0].cpu().numpy())
        abstained = self.calibration.abstains(confidence, distances)
        return Prediction(
            labels=labels,
            votes=torch.from_numpy(votes).to(labels.device),
            embeddings=embeddings,
            raw_votes=raw_votes,
            abstained=torch.from_numpy(abstained).to(labels.device),
        )

    def test_step(self, batch: Batch, batch_idx: int) -> None:
        """Classify a batch; collect the outputs of all processes."""
        prediction = self.predict_step(batch, batch_idx)
        self.test_metrics.update(prediction.labels, batch.labels)
        outputs = {
            **prediction._asdict(),
            "predictions": prediction.labels,
            "rows": batch.rows,
            "labels": batch.labels,
            "abstained": prediction.abstained.long(),  # gloo gathers no bool
        }
        self.test_batches.append({name: self.gather(values).cpu().numpy() for name, values in outputs.items()})

    def on_test_epoch_end(self) -> None:
        """Log the metrics of the test faces; join their outputs."""
        self.log_dict(present_alone(self.test_metrics.compute(), "test/", self.hparams["classes"], self.absent))
        self.test_metrics.reset()
        batches, self.test_batches = self.test_batches, []
        self.test_outputs = {name: np.concatenate([batch[name] for batch in batches]) for name in batches[0]}

    def gather(self, share: Tensor) -> Tensor:
        """Return the batch (B, ...) of all processes from this one's share (b, ...); see ``gather_batch``."""
        return share if self.trainer.world_size == 1 else gather_batch(share, even=self.training)

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Return the optimizer of all weights, with those of the loss, and the scheduler of its rate."""
        settings: Any = self.hparams
        config = dict(settings["scheduler"])
        by_step = "total_steps" in config
        if by_step:
            # A resumed run takes the number from its checkpoint: to count here would load the pictures before Lightning
            # has restored the position in the epoch. No pct_start of the stand-in is a single step.
            config["total_steps"] = 10**9 if self.trainer.ckpt_path else int(self.trainer.estimated_stepping_batches)
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
