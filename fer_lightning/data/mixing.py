"""Mixing of training batches: functions (batch, epoch, epochs) -> batch, whose targets may be shares of the classes."""

import numpy as np
import torch

from fer_lightning.data.pictures import Batch
from fer_lightning.kinds import ClassCount, CountOrZero, Positive, Seed, Share


def no_mixing(batch: Batch, epoch: int, epochs: int) -> Batch:
    """Return the batch as it is."""
    return batch


def mixup(
    batch: Batch,
    epoch: int,
    epochs: int,
    alpha: Positive,
    batches: Share,
    plain_epochs: CountOrZero,
    num_classes: ClassCount,
    seed: Seed,
) -> Batch:
    """Return the batch with each picture and its target mixed with another of the batch (mixup, arXiv:1710.09412).

    The random numbers depend only on (seed, epoch, first picture), so that a resumed run draws the same ones. This is
    what ``timm.data.Mixup`` cannot do, which draws from the generator of the process.

    Args:
        batch: Its targets are (B,) classes or (B, C) shares; those of the result are (B, C) shares.
        epoch: Number of the epoch.
        epochs: Epochs of the run; -1, as Lightning has it, for a run without an end.
        alpha: The share of the first picture is drawn from Beta(alpha, alpha).
        batches: Share of the batches that are mixed.
        plain_epochs: Epochs at the end without mixing.
        num_classes: C.
        seed: Decides the mixing.
    """
    random = np.random.default_rng((seed, epoch, int(batch.rows.numpy()[0])))
    share = random.beta(alpha, alpha)
    at_the_end = 0 <= epochs <= epoch + plain_epochs
    if at_the_end or random.random() >= batches:
        share = 1.0
    targets = batch.targets if batch.targets.ndim == 2 else torch.eye(num_classes)[batch.targets]
    images, targets = (share * values + (1 - share) * values.flip(0) for values in (batch.images, targets))
    return batch._replace(images=images, targets=targets)
