"""The last step of a training, and the validation after it."""

import logging
import math
from typing import Any

from lightning.pytorch.callbacks import Callback

log = logging.getLogger(__name__)


class Ending(Callback):
    """End a training at ``trainer.max_steps``, and validate after the last step, wherever in an epoch it is.

    This class takes the limit away from Lightning. Lightning would not validate at the end. While a limit is set, it
    would also treat the checkpoint at the end of an epoch as one from the middle.
    """

    def __init__(self) -> None:
        self.max_steps = -1
        self.validated = 0  # step of the latest exact validation

    def state_dict(self) -> dict[str, int]:
        """Return the step of the latest validation. A resumed run then knows whether its last step was validated."""
        return {"validated": self.validated}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Set the step from the checkpoint."""
        self.validated = state_dict["validated"]

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """Take the limit from Lightning: after the schedulers were planned by it, before progress is restored."""
        self.max_steps, trainer.fit_loop.epoch_loop.max_steps = trainer.max_steps, -1

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Log the epoch in which the limit is reached. End a resumed run that has no step left."""
        loop = trainer.fit_loop
        batches = loop.epoch_loop.batch_progress.current.completed if loop.restarting else 0  # of the current epoch
        if self.max_steps > 0:
            steps_per_epoch = math.ceil(trainer.num_training_batches / trainer.accumulate_grad_batches)
            steps_of_epoch = math.ceil(batches / trainer.accumulate_grad_batches)
            remaining = self.max_steps - trainer.global_step
            epochs = trainer.current_epoch + math.ceil((steps_of_epoch + remaining) / steps_per_epoch)
            if epochs <= loop.max_epochs:
                log.info("trainer.max_steps=%d is reached in epoch %d of %d", self.max_steps, epochs, loop.max_epochs)
                loop.max_epochs = epochs
        if self._is_last(trainer, batches):
            if self.validated == trainer.global_step:
                trainer.should_stop = True
            else:
                validate_after(trainer, batches)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Request a validation after the last batch."""
        if self._is_last(trainer, batch_idx + 1):
            validate_after(trainer, batch_idx + 1)

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """End the training after the validation of the last batch."""
        if not trainer.sanity_checking:
            self.validated = trainer.global_step
            if self._is_last(trainer, trainer.fit_loop.epoch_loop.batch_progress.current.completed):
                trainer.should_stop = True

    def _is_last(self, trainer: Any, batches: int) -> bool:
        """Return whether the training is complete after this many batches of the current epoch."""
        last_epoch = trainer.current_epoch + 1 == trainer.max_epochs
        complete = last_epoch and batches == trainer.num_training_batches
        return complete or 0 <= self.max_steps <= trainer.global_step


def validate_after(trainer: Any, batches: int) -> None:
    """Make the Trainer validate after this many batches of the current epoch."""
    trainer.check_val_every_n_epoch, trainer.val_check_batch = 1, batches
