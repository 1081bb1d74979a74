"""One line an epoch."""

import logging
import time
from collections.abc import Sequence

import lightning
from lightning.pytorch.callbacks import Callback

log = logging.getLogger(__name__)


class EpochLines(Callback):
    """Log one line an epoch, with the figures that matter.

    Args:
        metrics: Names of the metrics in the line.
    """

    def __init__(self, metrics: Sequence[str]) -> None:
        self.metrics = metrics
        self.start = 0.0

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Start the clock."""
        self.start = time.monotonic()

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Log the line; the epoch's validation is already done."""
        found = {
            name: trainer.callback_metrics[name].item() for name in self.metrics if name in trainer.callback_metrics
        }
        figures = "  ".join(f"{name} {number:.4f}" for name, number in found.items())
        seconds = time.monotonic() - self.start
        log.info("epoch %d/%d  %s  %.0f s", trainer.current_epoch + 1, trainer.max_epochs, figures, seconds)
