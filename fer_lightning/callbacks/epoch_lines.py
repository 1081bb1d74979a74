"""Log lines of a training: what is trained, how long that may take, and one line an epoch."""

import logging
import time
from typing import Any

import numpy as np
import torch
from lightning.pytorch.callbacks import Callback

from fer_lightning.kinds import Setting, Texts
from fer_lightning.words import counted, duration, value

log = logging.getLogger(__name__)

WARM_UP, MEASURED = 2, 20  # steps: the slow ones at the start, and the one after which the time is estimated
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
        # Counted in this process alone; a resumed training begins them anew:
        self.start = 0.0
        self.first_epoch = 0
        self.steps = 0
        self.warm = 0.0  # time after the warm-up
        self.validated = -1  # epoch of the latest validation

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Log what is trained and start the clock."""
        self.start, self.first_epoch, self.steps = time.monotonic(), trainer.current_epoch, 0
        device, partition = pl_module.device, trainer.datamodule.partition
        pictures, faces = len(partition.train), len(np.unique(partition.origins[partition.train]))
        log.info(
            "training on %s, %s: %s; %s parameters; %s of %s",
            (f"{counted(pictures, 'picture')} of " if pictures > faces else "") + counted(faces, "face"),
            torch.cuda.get_device_name(device) if device.type == "cuda" else device.type.upper(),
            ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in self.settings.items()),
            f"{sum(weights.numel() for weights in pl_module.parameters()):,}",
            counted(trainer.max_epochs, "epoch"),
            counted(trainer.num_training_batches, "step"),
        )
        if device.type == "cpu" and trainer.precision.startswith("bf16") and not computes_bf16():
            log.warning(
                "trainer.precision=%s is many times slower than 32-true on this processor, which has no instructions "
                "for bfloat16 (avx512_bf16, AMX): use trainer.precision=32-true",
                trainer.precision,
            )

    def on_train_batch_end(self, trainer: Any, *args: Any, **kwargs: Any) -> None:
        """Estimate the time once, from the pace of the first steps and the pictures of a validation."""
        self.steps += 1
        if self.steps == WARM_UP:
            self.warm = time.monotonic()
        if self.steps == MEASURED and trainer.current_epoch == self.first_epoch:  # later, the epochs' lines have it
            step = (time.monotonic() - self.warm) / (MEASURED - WARM_UP)
            faces, steps = trainer.datamodule, trainer.num_training_batches
            validations = steps / (trainer.val_check_batch or steps) / (trainer.check_val_every_n_epoch or 1)
            pictures = sum(trainer.num_val_batches) * faces.eval_batch_size * (1 + trainer.lightning_module.mirrored)
            epoch = step * (steps + FORWARD * validations * pictures / faces.batch_size)
            epochs = range(trainer.current_epoch, trainer.max_epochs)
            if epochs:
                total = epoch * _pixels(faces, epochs) / _pixels(faces, epochs[:1])
                log.info("about %s for %s", duration(total), counted(len(epochs), "epoch"))

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """Remember the epoch."""
        if not trainer.sanity_checking:
            self.validated = trainer.current_epoch

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Log the epoch's line, without the metrics of an earlier validation, which the Trainer keeps."""
        stages = ("train/", "val/") if self.validated == trainer.current_epoch else ("train/",)
        figures = "  ".join(
            f"{name} {value(name, trainer.callback_metrics[name].item())}"
            for name in self.metrics
            if name in trainer.callback_metrics and name.startswith(stages)
        )
        seconds = time.monotonic() - self.start
        done = trainer.current_epoch + 1
        estimate = ""
        if done < trainer.max_epochs and self.steps:  # a run may resume after the last step of an epoch
            faces = trainer.datamodule
            epochs = range(self.first_epoch, done)
            missed = len(epochs) - self.steps / trainer.num_training_batches  # the part before a resumed step
            pace = seconds / (_pixels(faces, epochs) - missed * _pixels(faces, epochs[:1]))
            estimate = f", about {duration(pace * _pixels(faces, range(done, trainer.max_epochs)))} left"
        log.info("epoch %d/%d  %s  %s%s", done, trainer.max_epochs, figures, duration(seconds), estimate)


def _pixels(faces: Any, epochs: range) -> int:
    """Return the pixels of a training picture, summed over the epochs: what their time is proportional to."""
    return sum(faces.training_size(epoch) ** 2 for epoch in epochs)


def computes_bf16() -> bool:
    """Return whether the processor has instructions for bfloat16."""
    return any(able for name, able in torch.cpu.get_capabilities().items() if name.endswith("bf16"))
