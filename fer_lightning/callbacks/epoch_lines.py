"""One line an epoch."""

import logging
import time
from collections.abc import Sequence
from typing import Any

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

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Start the clock."""
        self.start = time.monotonic()

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Log the line; the epoch's validation is already done."""
        numbers = trainer.callback_metrics
        figures = "  ".join(f"{name} {numbers[name].item():.4f}" for name in self.metrics if name in numbers)
        figures += f"  {time.monotonic() - self.start:.0f} s"
        log.info("epoch %d/%d  %s", trainer.current_epoch + 1, trainer.max_epochs, figures)
