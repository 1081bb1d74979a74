"""The quick score of a sample, between two exact validations."""

import logging
from contextlib import nullcontext
from typing import Any

import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from fer_lightning.callbacks.averaging import AveragedWeights
from fer_lightning.callbacks.health import Health
from fer_lightning.kinds import Count, Part, Seed
from fer_lightning.models.classifiers import Classifier
from fer_lightning.models.module import ExpressionModule

log = logging.getLogger(__name__)


class QuickValidation(Callback):
    """Score a sample of the validation faces every few steps, as an exact validation would.

    The classifier is fitted on a sample of the gallery. Each score embeds both samples again, in evaluation mode: old
    embeddings, of up to 90 steps before, would cost 4 more points of accuracy while a network learns fast. The seed
    decides an order of the faces, and each sample takes the next ones. So classes keep their shares, and no face is in
    a sample twice. The score lies a few points below the exact one, since the sample of the gallery is smaller than
    the gallery. It chooses no checkpoint.

    Args:
        every_n_steps: Training steps between two scores; the paper's validation frequency is 30.
        sample_size: Validation faces to score.
        bank_size: Gallery faces to fit the classifier on.
        classifier: A second classifier of the run's kind.
        seed: Decides the order of the faces.
    """

    def __init__(
        self, every_n_steps: Count, sample_size: Count, bank_size: Count, classifier: Part[Classifier], seed: Seed
    ) -> None:
        self.every_n_steps = every_n_steps
        self.sample_size = sample_size
        self.bank_size = bank_size
        self.classifier = classifier
        self.seed = seed
        self.step = 0  # of the latest score

    def state_dict(self) -> dict[str, int]:
        """Return the step of the latest score. A resumed run may start with batches that belong to it."""
        return {"step": self.step}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Set the step from the checkpoint."""
        self.step = state_dict["step"]

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Decide the order of the faces."""
        partition, random = trainer.datamodule.partition, np.random.default_rng(self.seed)
        self.gallery, self.queries = random.permutation(partition.gallery), random.permutation(partition.validation)
        self.classifier.to(pl_module.device)
        log.info("val/accuracy_quick: %d validation faces every %d steps", self.sample_size, self.every_n_steps)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Log a score every few steps. Score a step once, also if gradients of several batches are accumulated."""
        if trainer.global_step == self.step or trainer.global_step % self.every_n_steps:
            return
        self.step = trainer.global_step
        for callback in trainer.callbacks:
            if isinstance(callback, Health):
                callback.read()  # so that only finite embeddings are scored
        number = self.step // self.every_n_steps - 1
        gallery, queries = deal(self.gallery, self.bank_size, number), deal(self.queries, self.sample_size, number)
        embeddings, labels = embed(trainer, pl_module, np.concatenate([gallery, queries]))
        self.classifier.fit(embeddings[: len(gallery)], labels[: len(gallery)])
        predictions = self.classifier.decide(embeddings[len(gallery) :]).labels
        accuracy = (predictions == labels[len(gallery) :]).double().mean().item()
        figures = {"val/accuracy_quick": accuracy, "val/quick_sample_size": float(len(queries))}
        pl_module.log_dict(figures, logger=False)  # for callbacks that monitor a metric
        for logger in trainer.loggers:  # Lightning would repeat the score in each later row of the epoch
            logger.log_metrics(figures, step=self.step - 1)


def deal(order: np.ndarray, size: int, number: int) -> np.ndarray:
    """Return a sample by its number, counted from 0. The order begins again at its end. A short order is the sample."""
    size = min(size, len(order))
    return order.take(range(number * size, (number + 1) * size), mode="wrap")


@torch.no_grad()
def embed(trainer: Any, module: ExpressionModule, rows: np.ndarray) -> tuple[Tensor, Tensor]:
    """Return the embeddings (N, D) and labels (N,) of some rows, as a validation at this step would compute them."""
    averages = [callback.averaged(module) for callback in trainer.callbacks if isinstance(callback, AveragedWeights)]
    parts = []
    with averages[0] if averages else nullcontext(), trainer.precision_plugin.forward_context():
        module.eval()
        for batch in trainer.datamodule.loader(rows):
            images = trainer.precision_plugin.convert_input(batch.images.to(module.device))
            parts.append((module.gather(module(images)), module.gather(batch.labels.to(module.device))))
        module.train()
    embeddings, labels = zip(*parts, strict=True)
    return torch.cat(embeddings), torch.cat(labels)
