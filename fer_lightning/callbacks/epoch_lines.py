"""What a training says of itself: what it trains, how long that may take, and one line an epoch."""

import logging
import time
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback

from fer_lightning.kinds import Setting, Texts
from fer_lightning.words import duration

log = logging.getLogger(__name__)

WARM_UP, MEASURED = 2, 20  # steps: those that are slower than the others, and the last one before time is told
FORWARD = 1 / 3  # part of a training step's time that embedding its pictures takes


class EpochLines(Callback):
    """Log what is trained, after a few steps how long it may take, and one line an epoch.

    Args:
        metrics: Names of the metrics in the line.
        settings: What the first line names: word -> value.
    """

    def __init__(self, metrics: Texts, settings: dict[str, Setting]) -> None:
        self.metrics = metrics
        self.settings = dict(settings)
        self.start = 0.0  # of this training, or of what is done of it now
        self.begun = 0  # epochs before it
        self.steps = 0  # done now
        self.warm = 0.0

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Say what is trained and start the clock."""
        self.start, self.begun, self.steps = time.monotonic(), trainer.current_epoch, 0
        device = pl_module.device
        log.info(
            "training on %s faces, %s: %s; %s parameters; %s epochs of %s steps",
            f"{len(trainer.datamodule.partition.train):,}",
            torch.cuda.get_device_name(device) if device.type == "cuda" else device.type.upper(),
            ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in self.settings.items()),
            f"{sum(weights.numel() for weights in pl_module.parameters()):,}",
            trainer.max_epochs,
            trainer.num_training_batches,
        )
        if device.type == "cpu" and trainer.precision.startswith("bf16") and not computes_bf16():
            log.warning(
                "trainer.precision=%s is many times slower than 32-true on this processor, which has no instructions "
                "for bfloat16 (avx512_bf16, AMX): use trainer.precision=32-true",
                trainer.precision,
            )

    def on_train_batch_end(self, trainer: Any, *args: Any, **kwargs: Any) -> None:
        """Say once how long all of it may take: the steps at their pace, and what validation embeds."""
        self.steps += 1
        if self.steps == WARM_UP:
            self.warm = time.monotonic()
        if self.steps == MEASURED and trainer.current_epoch == self.begun:  # an epoch's line knows better
            step = (time.monotonic() - self.warm) / (MEASURED - WARM_UP)
            epoch = step * (trainer.num_training_batches + FORWARD * _validation_batches(trainer))
            log.info("about %s for the %d epochs", duration(epoch * self._left(trainer)), self._left(trainer))

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Log the line; the epoch's validation is already done."""
        numbers = trainer.callback_metrics
        figures = "  ".join(f"{name} {numbers[name].item():.4f}" for name in self.metrics if name in numbers)
        seconds = time.monotonic() - self.start
        done, left = trainer.current_epoch + 1, self._left(trainer) - 1
        more = f", about {duration(seconds / (done - self.begun) * left)} left" if left > 0 else ""
        log.info("epoch %d/%d  %s  %s%s", done, trainer.max_epochs, figures, duration(seconds), more)

    def _left(self, trainer: Any) -> int:
        """Return the number of epochs to come, the one at hand included."""
        return trainer.max_epochs - trainer.current_epoch


def computes_bf16() -> bool:
    """Return whether the processor multiplies bfloat16 numbers by itself."""
    return any(found for name, found in torch.cpu.get_capabilities().items() if name.endswith("bf16"))


def _validation_batches(trainer: Any) -> float:
    """Return the pictures of an epoch's validation, its gallery included, in batches of training."""
    faces = trainer.datamodule
    pictures = sum(trainer.num_val_batches) * faces.eval_batch_size * (1 + trainer.lightning_module.mirrored)
    return pictures / faces.batch_size / trainer.check_val_every_n_epoch
