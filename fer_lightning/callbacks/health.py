"""What makes a training worthless: numbers that are not finite, settings that train nothing, batches without a loss."""

import logging
from difflib import get_close_matches
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback, EarlyStopping, ModelCheckpoint
from torch.nn.utils import get_total_norm

from fer_lightning.errors import NotFiniteError, UserError
from fer_lightning.files import write_json
from fer_lightning.kinds import Location
from fer_lightning.models.metrics import triplet_telemetry

log = logging.getLogger(__name__)

COUNTS = ("batches", "idle", "missed")  # of an epoch; missed: triplets


class Health(Callback):
    """End a training that is worth nothing with a UserError that names the remedy.

    An embedding, a loss or a gradient that is not finite ends it before the optimizer's step, so that the weights are
    those of the step before; a weight that is not finite, before a checkpoint is written. ``not_finite.json`` says
    where. An idle batch, whose loss is exactly zero because the miner found no triplet or none violates the margin, is
    counted (``train/idle_batches``). An epoch of nothing else ends the training, unless every triplet of it keeps the
    margin, which is what training is for.

    Args:
        output_dir: The run's folder.
    """

    def __init__(self, output_dir: Location) -> None:
        self.path = Path(output_dir) / "not_finite.json"
        self.rows = torch.empty(0)
        self.gradient_norm: float | None = None
        self.counts = dict.fromkeys(COUNTS, 0)

    def state_dict(self) -> dict[str, int]:
        """Return the counts, so that a resumed epoch goes on counting."""
        return self.counts

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Take the counts of the checkpoint."""
        self.counts = dict(state_dict)

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """Look at the limits and at the metrics that callbacks wait for; watch the loss."""
        for option in ("max_epochs", "limit_train_batches", "limit_val_batches"):
            if getattr(trainer, option) == 0:
                raise UserError(f"trainer.{option}=0 leaves nothing to train or to choose a checkpoint by: raise it")
        known = [*pl_module.metric_names("val"), "val/accuracy_quick", "val/quick_sample_size"]
        for callback in trainer.callbacks:
            monitor = callback.monitor if isinstance(callback, ModelCheckpoint | EarlyStopping) else None
            if monitor is not None and monitor not in known and not monitor.startswith("train/"):
                close = get_close_matches(monitor, known, n=3) or ["val/accuracy"]
                raise UserError(
                    f"objective={monitor} (of {type(callback).__name__}) is no metric of the validation: did you mean "
                    f"{' or '.join(close)}?"
                )
        pl_module.loss.register_forward_hook(lambda loss, inputs, value: self._check(pl_module, inputs[0], value))

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """Count from zero."""
        self.counts = dict.fromkeys(COUNTS, 0)

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Remember which faces are in the batch."""
        self.rows = pl_module.gather(batch.rows)

    def _check(self, module: Any, embeddings: torch.Tensor, loss: torch.Tensor) -> None:
        """Look at what a batch came to, before anything is learnt from it."""
        remedy = f"at step {module.global_step}: lower optimizer.lr or use trainer.precision=32"
        if not torch.isfinite(embeddings).all():  # a miner passes over them in silence
            raise NotFiniteError(f"an embedding is not finite {remedy}")
        if not torch.isfinite(loss):
            raise NotFiniteError(f"the loss is {loss.item()} {remedy}")

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: torch.optim.Optimizer) -> None:
        """Measure the gradient; the scaler of 16-mixed deals by itself with one that is not finite."""
        learning = chain.from_iterable(group["params"] for group in optimizer.param_groups)  # the module's walk is slow
        norm = get_total_norm([weights.grad for weights in learning if weights.grad is not None])
        self.gradient_norm = norm.item()
        if not torch.isfinite(norm) and trainer.precision != "16-mixed":
            raise NotFiniteError(
                f"the gradient is not finite at step {trainer.global_step}: lower optimizer.lr or set "
                "trainer.gradient_clip_val=1"
            )

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Count an idle batch, and the triplets in it that violate the margin although no loss saw them."""
        self.counts["batches"] += 1
        if outputs["loss"] == 0:
            self.counts["idle"] += 1
            state = triplet_telemetry(outputs["embeddings"], outputs["labels"], None, pl_module.margin)
            self.counts["missed"] += int(state["active_triplets"])

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Say what was counted; end where nothing was learnt although there was something to learn."""
        epoch, (batches, idle, missed) = trainer.current_epoch + 1, self.counts.values()
        pl_module.log("train/idle_batches", float(idle))
        if idle:
            log.warning(
                "epoch %d: %d of %d batches had no triplet for the loss, and %d triplets of theirs violate the margin",
                *(epoch, idle, batches, missed),
            )
        if idle == batches and missed and not trainer.fast_dev_run:
            raise UserError(
                f"miner: no batch of epoch {epoch} had a triplet for the loss, although {missed} violate the margin: "
                "use miner=semihard or miner=all, or raise loss.margin"
            )

    def on_save_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Look at the weights before a checkpoint is written; the file of its name stays as it was."""
        for name, weights in checkpoint["state_dict"].items():
            if weights.is_floating_point() and not torch.isfinite(weights).all():
                raise NotFiniteError(f"{name} is not finite: its checkpoint is not written; lower optimizer.lr")

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Write down the step at which a number was not finite."""
        if isinstance(exception, NotFiniteError) and trainer.is_global_zero:
            rows, names = self.rows.tolist(), trainer.datamodule.partition.faces.names
            step = {
                "error": str(exception),
                "step": trainer.global_step,
                "epoch": trainer.current_epoch,
                "learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
                "last_gradient_norm": str(self.gradient_norm),
                "batch_rows": rows,
                "batch_files": [str(names[row]) for row in rows],
            }
            write_json(self.path, step)
