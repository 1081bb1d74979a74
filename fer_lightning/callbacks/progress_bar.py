"""The bar of a training, a validation or a test, on a terminal."""

import re
from typing import Any

from lightning.pytorch.callbacks import Callback, RichProgressBar
from rich.progress import BarColumn, MofNCompleteColumn, ProgressColumn, Task, TimeRemainingColumn
from rich.text import Text


def progress_bar(shown: bool) -> Callback:
    """Return the bar, or a callback that does nothing: Lightning refuses a bar beside ``enable_progress_bar=False``.

    Args:
        shown: Whether there is a bar.
    """
    return Bar() if shown else Callback()


class Bar(RichProgressBar):
    """Lightning's bar, of one line at 80 columns; it counts epochs from 1 and leaves nothing behind.

    It draws on rich's one console, as ``launch.console`` writes lines on it.
    """

    def __init__(self) -> None:
        super().__init__(refresh_rate=10)  # a second

    def configure_columns(self, trainer: Any) -> list[ProgressColumn]:
        """Return what stands in the line before the metrics."""
        return [
            Name(trainer.max_epochs),
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
        ]

    def get_metrics(self, trainer: Any, pl_module: Any) -> dict[str, Any]:
        """Return the metrics, without the version of the logger."""
        return {name: value for name, value in super().get_metrics(trainer, pl_module).items() if name != "v_num"}

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Make a bar that goes when it ends."""
        super().on_train_start(trainer, pl_module)
        self._vanish()

    def on_test_start(self, trainer: Any, pl_module: Any) -> None:
        """Make a bar that goes when it ends."""
        super().on_test_start(trainer, pl_module)
        self._vanish()

    def _vanish(self) -> None:
        if self.progress is not None:
            self.progress.live.transient = True


class Name(ProgressColumn):
    """What a bar counts: of an epoch the number that its line has too, where Lightning counts from 0.

    Args:
        epochs: How many there are.
    """

    def __init__(self, epochs: int) -> None:
        super().__init__()
        self.epochs = epochs

    def render(self, task: Task) -> Text:
        """Return the name."""
        epoch = re.match(r"Epoch (\d+)", task.description)
        return Text(f"epoch {int(epoch[1]) + 1}/{self.epochs}" if epoch else task.description)
