"""The quick score between exact ones."""

import logging
from typing import Any

import lightning
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from fer_lightning.models.classifiers import Classifier
from fer_lightning.runs.checkpoints import not_resumable

log = logging.getLogger(__name__)


class QuickValidation(Callback):
    """Score a fixed sample of the validation faces every few steps, at a bounded cost.

    The sample is stratified by class, and the classifier is fitted on the latest training embeddings, kept as
    training left them. It is a rough curve (``val/accuracy_quick``), never what chooses the checkpoint.

    Args:
        every_n_steps: Training steps between two scores; the paper's validation frequency is 30.
        sample_size: Validation faces to score.
        bank_size: Latest training embeddings to fit the classifier on.
        classifier: The run's kind of classifier, one of this callback's own.
        seed: Decides which faces are in the sample.
    """

    def __init__(self, every_n_steps: int, sample_size: int, bank_size: int, classifier: Classifier, seed: int) -> None:
        self.every_n_steps = every_n_steps
        self.sample_size = sample_size
        self.bank_size = bank_size
        self.classifier = classifier
        self.seed = seed
        self.bank: list[tuple[Tensor, Tensor]] = []

    def state_dict(self) -> dict:
        """Return the bank, so that the curve of a resumed run goes on as it was."""
        return {"bank": self.bank}

    def load_state_dict(self, state_dict: dict) -> None:
        """Take the bank of the checkpoint."""
        self.bank = state_dict["bank"]

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Draw the sample."""
        datamodule = trainer.datamodule  # type: ignore[attr-defined]  # Lightning sets it
        rows = datamodule.partition.validation
        labels = datamodule.partition.faces.labels[rows]
        random = np.random.default_rng(self.seed)
        share = min(1.0, self.sample_size / len(rows))
        sample = np.concatenate(
            [
                random.permutation(rows[labels == label])[: max(1, round(share * (labels == label).sum()))]
                for label in np.unique(labels)
            ]
        )
        self.loader = datamodule.loader(np.sort(sample))
        self.classifier.to(pl_module.device)
        if not all(map(self.fits, self.bank)):
            raise not_resumable(
                str(trainer.ckpt_path), "the bank of QuickValidation holds no embeddings with their labels"
            )
        self.bank = [(embeddings.to(pl_module.device), labels.to(pl_module.device)) for embeddings, labels in self.bank]
        log.info("val/accuracy_quick: %d validation faces every %d steps", len(sample), self.every_n_steps)

    def fits(self, entry: object) -> bool:
        """Return whether an entry of a saved bank could be fitted: embeddings (B, D) and their labels (B,)."""
        if not isinstance(entry, tuple) or [type(part) for part in entry] != [Tensor, Tensor]:
            return False
        embeddings, labels = entry
        return (
            embeddings.shape == (*labels.shape, self.classifier.embedding_size)
            and bool(embeddings.isfinite().all())
            and labels.dtype == torch.int64
            and bool(torch.isin(labels, torch.arange(self.classifier.num_classes, device=labels.device)).all())
        )

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: object, idx: int
    ) -> None:
        """Remember the batch; score when it is time."""
        self.bank.append((outputs["embeddings"], outputs["labels"]))
        self.bank = self.bank[-max(1, self.bank_size // len(outputs["labels"])) :]
        if trainer.global_step % self.every_n_steps:
            return
        embeddings, labels = zip(*self.bank, strict=True)
        self.classifier.fit(torch.cat(embeddings), torch.cat(labels))
        pl_module.eval()
        hits = []
        with torch.no_grad():
            for sample in self.loader:
                images = trainer.precision_plugin.convert_input(sample.images.to(pl_module.device))
                predictions, _ = self.classifier(pl_module(images))
                hits.append(predictions == sample.labels.to(pl_module.device))
        right = torch.cat(hits)
        counts = torch.tensor([right.sum(), len(right)], device=pl_module.device)
        correct, count = trainer.strategy.reduce(counts, reduce_op="sum").tolist()
        pl_module.train()
        pl_module.log("val/accuracy_quick", correct / count)
        pl_module.log("val/quick_sample_size", float(count))
