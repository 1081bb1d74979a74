"""The last step of a training, and the validation after it."""

import logging
import math
from typing import Any

from lightning.pytorch.callbacks import Callback

log = logging.getLogger(__name__)


class Ending(Callback):
    """End a training at ``trainer.max_steps``, and validate what the last step has left, wherever it falls.

    The limit is taken from Lightning. Its own way of keeping it validates nothing at the end, and where a limit is set
    it takes every checkpoint for one of mid-epoch, also that of an epoch's end.
    """

    def __init__(self) -> None:
        self.max_steps = -1
        self.validated = 0  # step of the latest exact validation

    def state_dict(self) -> dict[str, int]:
        """Return the step of the latest validation, so that a resumed run knows whether its last step has one."""
        return {"validated": self.validated}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Take the step of the checkpoint."""
        self.validated = state_dict["validated"]

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """Take the limit over; the schedulers have counted their steps by it, and no progress is restored yet."""
        self.max_steps, trainer.fit_loop.epoch_loop.max_steps = trainer.max_steps, -1

    def on_train_start(self, trainer: Any, pl_module: Any) -> None:
        """Say in which epoch the limit is reached; end a resumed run that has no step left."""
        loop = trainer.fit_loop
        batches = loop.epoch_loop.batch_progress.current.completed if loop.restarting else 0  # of the epoch at hand
        if self.max_steps > 0:
            per_epoch, done = (
                math.ceil(count / trainer.accumulate_grad_batches) for count in (trainer.num_training_batches, batches)
            )
            left = self.max_steps - trainer.global_step
            epochs = trainer.current_epoch + math.ceil((done + left) / per_epoch)
            if epochs <= loop.max_epochs:
                log.info("trainer.max_steps=%d is reached in epoch %d of %d", self.max_steps, epochs, loop.max_epochs)
                loop.max_epochs = epochs
        if self._is_last(trainer, batches):
            if self.validated == trainer.global_step:
                trainer.should_stop = True
            else:
                validate_after(trainer, batches)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Let a validation follow the last batch."""
        if self._is_last(trainer, batch_idx + 1):
            validate_after(trainer, batch_idx + 1)

    def on_validation_end(self, trainer: Any, pl_module: Any) -> None:
        """End the training with the validation of its last batch."""
        if not trainer.sanity_checking:
            self.validated = trainer.global_step
            if self._is_last(trainer, trainer.fit_loop.epoch_loop.batch_progress.current.completed):
                trainer.should_stop = True

    def _is_last(self, trainer: Any, batches: int) -> bool:
        """Return whether nothing is left to train after a number of batches of the epoch at hand."""
        whole = batches == trainer.num_training_batches and trainer.current_epoch + 1 == trainer.max_epochs
        return whole or 0 <= self.max_steps <= trainer.global_step


def validate_after(trainer: Any, batches: int) -> None:
    """Let the Trainer validate after a number of batches of the epoch at hand."""
    trainer.check_val_every_n_epoch, trainer.val_check_batch = 1, batches
