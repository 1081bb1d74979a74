"""What makes a training worthless without ending it: said at the start where it can be, else once an epoch."""

import logging
from difflib import get_close_matches

import lightning
from lightning.pytorch.callbacks import Callback

from fer_lightning.errors import UserError
from fer_lightning.models.metrics import triplet_telemetry

log = logging.getLogger(__name__)

QUICK = ("val/accuracy_quick", "val/quick_sample_size")


class Watch(Callback):
    """Refuse settings that train nothing, metrics that nobody logs, and epochs whose loss had nothing to learn from.

    A batch is idle when its loss is exactly zero: the miner found no triplet, or none violates the margin. Idle
    batches are counted (``train/idle_batches``). An epoch of nothing else ends the training, unless every triplet of
    it keeps the margin, which is what training is for.

    Raises:
        UserError: Naming the option.
    """

    def __init__(self) -> None:
        self.batches = self.idle = self.missed = 0

    def state_dict(self) -> dict[str, int]:
        """Return the counts, so that a resumed epoch goes on counting."""
        return {"batches": self.batches, "idle": self.idle, "missed": self.missed}

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Take the counts of the checkpoint."""
        self.batches, self.idle, self.missed = (state_dict[name] for name in ("batches", "idle", "missed"))

    def on_fit_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Look at the limits and at the metrics that callbacks wait for."""
        for option in ("max_epochs", "limit_train_batches", "limit_val_batches"):
            if getattr(trainer, option) == 0:
                raise UserError(f"trainer.{option}=0 leaves nothing to train or to choose a checkpoint by: raise it")
        known = [*pl_module.metric_names("val"), *QUICK]
        for callback in trainer.callbacks:
            monitor = getattr(callback, "monitor", None)
            if monitor is not None and monitor not in known and not monitor.startswith("train/"):
                close = get_close_matches(monitor, known, n=3) or ["val/accuracy"]
                raise UserError(
                    f"objective={monitor} (of {type(callback).__name__}) is no metric of the validation: did you mean "
                    f"{' or '.join(close)}?"
                )

    def on_train_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Count from zero."""
        self.batches = self.idle = self.missed = 0

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: dict, batch: object, idx: int
    ) -> None:
        """Count an idle batch, and the triplets in it that violate the margin although no loss saw them."""
        self.batches += 1
        if outputs["loss"] == 0:
            self.idle += 1
            state = triplet_telemetry(outputs["embeddings"], outputs["labels"], None, pl_module.margin)
            self.missed += int(state["active_triplets"])

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Say what was counted."""
        pl_module.log("train/idle_batches", float(self.idle))
        if not self.idle:
            return
        log.warning(
            "epoch %d: %d of %d batches had no triplet for the loss, and %d triplets of theirs violate the margin",
            *(trainer.current_epoch + 1, self.idle, self.batches, self.missed),
        )
        if self.idle == self.batches and self.missed and not trainer.fast_dev_run:
            raise UserError(
                f"miner: no batch of epoch {trainer.current_epoch + 1} had a triplet for the loss, although "
                f"{self.missed} violate the margin: use miner=semihard or miner=all, or raise loss.margin"
            )
