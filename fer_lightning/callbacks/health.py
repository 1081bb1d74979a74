"""Health of a training: finite numbers, metrics that exist, batches that have a loss."""

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

COUNTS = ("batches", "idle", "missed")  # of an epoch; missed: triplets of idle batches that violate the margin


class Health(Callback):
    """End a training that is worthless, with a UserError that names the remedy.

    An embedding, loss or gradient that is not finite ends it before the optimizer's step, so the weights stay finite.
    A weight that is not finite ends it before a checkpoint is written. Both write ``not_finite.json``.

    A batch is idle if its loss is exactly zero: the miner chose no triplet, or no triplet violates the margin. Idle
    batches are counted (``train/idle_batches``). An epoch of idle batches alone ends the training, unless all its
    triplets keep the margin, which is the aim of training.

    Args:
        output_dir: The run's folder.
    """

    def __init__(self, output_dir: Location) -> None:
        self.path = Path(output_dir) / "not_finite.json"
        self.rows = torch.empty(0)
        self.gradient_norm: float | None = None
        self.counts = dict.fromkeys(COUNTS, 0)

    def state_dict(self) -> dict[str, int]:
        """Return the counts of the epoch, so that a resumed epoch continues them."""
        return self.counts

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Set the counts from the checkpoint."""
        self.counts = dict(state_dict)

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """Refuse a monitored metric that no validation logs. From here on, check each loss."""
        metrics = [*pl_module.metric_names("val"), "val/accuracy_quick", "val/quick_sample_size"]
        for callback in trainer.callbacks:
            monitor = callback.monitor if isinstance(callback, ModelCheckpoint | EarlyStopping) else None
            if monitor is not None and monitor not in metrics and not monitor.startswith("train/"):
                close = get_close_matches(monitor, metrics, n=3) or ["val/accuracy"]
                raise UserError(
                    f"objective={monitor} (of {type(callback).__name__}) is no metric of the validation: did you mean "
                    f"{' or '.join(close)}?"
                )
        pl_module.loss.register_forward_hook(lambda loss, inputs, value: self._check(pl_module, inputs[0], value))

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """Reset the counts."""
        self.counts = dict.fromkeys(COUNTS, 0)

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Remember the faces of the batch."""
        self.rows = pl_module.gather(batch.rows)

    def _check(self, module: Any, embeddings: torch.Tensor, loss: torch.Tensor) -> None:
        """Raise a NotFiniteError if an embedding or the loss of a batch is not finite."""
        remedy = f"at step {module.global_step}: lower optimizer.lr or use trainer.precision=32"
        if not torch.isfinite(embeddings).all():  # the loss may still be finite, as miners ignore such embeddings
            raise NotFiniteError(f"an embedding is not finite {remedy}")
        if not torch.isfinite(loss):
            raise NotFiniteError(f"the loss is {loss.item()} {remedy}")

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: torch.optim.Optimizer) -> None:
        """Raise a NotFiniteError if the gradient is not finite. With 16-mixed, the scaler skips such steps itself."""
        parameters = chain.from_iterable(group["params"] for group in optimizer.param_groups)  # faster than the module
        norm = get_total_norm([weights.grad for weights in parameters if weights.grad is not None])
        self.gradient_norm = norm.item()
        if not torch.isfinite(norm) and trainer.precision != "16-mixed":
            raise NotFiniteError(
                f"the gradient is not finite at step {trainer.global_step}: lower optimizer.lr or set "
                "trainer.gradient_clip_val=1"
            )

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Count the batch. If it is idle, count also its triplets that violate the margin."""
        self.counts["batches"] += 1
        if outputs["loss"] == 0:
            self.counts["idle"] += 1
            state = triplet_telemetry(outputs["embeddings"], outputs["labels"], None, pl_module.margin)
            self.counts["missed"] += int(state["active_triplets"])

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Log the counts. End a training whose batches were all idle although triplets violate the margin."""
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
        """Raise a NotFiniteError if a weight is not finite. The earlier file of the same name stays."""
        for name, weights in checkpoint["state_dict"].items():
            if weights.is_floating_point() and not torch.isfinite(weights).all():
                raise NotFiniteError(f"{name} is not finite: its checkpoint is not written; lower optimizer.lr")

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Write not_finite.json about the step at which a number was not finite."""
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
