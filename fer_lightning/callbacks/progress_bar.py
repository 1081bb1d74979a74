"""The progress bar of a training, a validation or a test."""

from typing import Any

from lightning.pytorch.callbacks import Callback, RichProgressBar
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, TextColumn, TimeRemainingColumn

LOSS = "train/loss"


def progress_bar(shown: bool) -> Callback:
    """Return the bar, or a callback that does nothing: Lightning refuses a bar beside ``enable_progress_bar=False``.

    Args:
        shown: Whether there is a bar.
    """
    return Bar() if shown else Callback()


class Bar(RichProgressBar):
    """Lightning's bar in one line of 80 columns. It counts epochs from 1 and disappears at its end.

    It uses rich's global console, as ``launch.console`` does.
    """

    def __init__(self) -> None:
        super().__init__(refresh_rate=10)  # a second
        self.loss: dict[str, float] = {}

    def configure_columns(self, trainer: Any) -> list[ProgressColumn]:
        """Return the columns before the metrics."""
        time_left = TimeRemainingColumn(compact=True)
        return [TextColumn("{task.description}"), BarColumn(bar_width=20), MofNCompleteColumn(), time_left]

    def get_metrics(self, trainer: Any, pl_module: Any) -> dict[str, Any]:
        """Return the loss of the latest logged step. Lightning would read it, and wait for the device, in each step."""
        loss = trainer.callback_metrics.get(LOSS)
        if loss is None:
            self.loss = {}
        elif pl_module.logged:
            self.loss = {LOSS: loss.item()}
        return self.loss

    def _init_progress(self, trainer: Any) -> None:
        super()._init_progress(trainer)
        if self.progress is not None:
            self.progress.live.transient = True

    def _get_train_description(self, current_epoch: int) -> str:
        return f"epoch {current_epoch + 1}/{self.trainer.max_epochs}"  # Lightning counts from 0
