"""Health of a training: finite numbers, and batches that have a loss."""

import logging
import math
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor
from torch.nn.utils import get_total_norm

from fer_lightning.errors import NotFiniteError, UserError
from fer_lightning.files import write_json
from fer_lightning.kinds import Location
from fer_lightning.models.metrics import triplet_telemetry

log = logging.getLogger(__name__)

COUNTS = ("batches", "idle", "missed")  # of an epoch; missed: triplets of idle batches that violate the margin
MOST = 100  # batches that wait to be read


@dataclass
class Step:
    """A training batch, whose numbers are on the device."""

    number: int  # steps of the optimizer before it
    epoch: int  # counted from 0
    rows: Tensor  # (B,) of the table of faces
    figures: Tensor = field(init=False)  # (3,) sum of the embeddings, loss, norm of the latest gradient
    embeddings: Tensor = field(init=False)  # (B, D) float32, norm 1
    labels: Tensor = field(init=False)  # (B,) int64


class Health(Callback):
    """End a training that is worthless, with a UserError that names the remedy.

    An embedding, loss or gradient that is not finite ends it: the optimizer leaves out that step and the ones after it,
    on the device. The host reads the numbers, and so waits for the device, at logged steps and before each validation
    and checkpoint. A weight that is not finite ends it before a checkpoint is written. Both write ``not_finite.json``.

    A batch is idle if its loss is exactly zero: the miner chose no triplet, or no triplet violates the margin. Idle
    batches are counted (``train/idle_batches``). An epoch of idle batches alone ends the training, unless all its
    triplets keep the margin, which is the aim of training.

    Args:
        output_dir: The run's folder.
    """

    def __init__(self, output_dir: Location) -> None:
        self.path = Path(output_dir) / "not_finite.json"
        self.margin = 0.0
        self.scaled = False  # by the scaler of 16-mixed, which leaves out a step whose gradient is not finite
        self.bad = torch.tensor(False)  # on the device: whether a number was not finite
        self.figures = torch.empty(0)  # (2,) of the latest batch: sum of the embeddings, loss
        self.norm = torch.tensor(0.0)  # of the latest gradient
        self.step: Any = None  # the latest one that has begun; when a training ends here, the one that is to blame
        self.unread: list[Step] = []
        self.counts = dict.fromkeys(COUNTS, 0)

    def state_dict(self) -> dict[str, int]:
        """Return the counts of the epoch, so that a resumed epoch continues them."""
        self.read()
        return self.counts

    def load_state_dict(self, state_dict: dict[str, int]) -> None:
        """Set the counts from the checkpoint."""
        self.counts = dict(state_dict)

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """Note each loss from here on."""
        self.margin, self.scaled = pl_module.margin, trainer.precision == "16-mixed"
        self.bad, self.norm = (number.to(pl_module.device) for number in (self.bad, self.norm))
        pl_module.loss.register_forward_hook(lambda loss, inputs, value: self._note(inputs[0], value))

    def on_train_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """Reset the counts."""
        self.counts = dict.fromkeys(COUNTS, 0)

    def on_train_batch_start(self, trainer: Any, pl_module: Any, batch: Any, batch_idx: int) -> None:
        """Remember the faces of the batch."""
        self.step = Step(trainer.global_step, trainer.current_epoch, pl_module.gather(batch.rows))

    @torch.no_grad()
    def _note(self, embeddings: Tensor, loss: Tensor) -> None:
        """Note on the device whether an embedding or the loss of a batch is not finite."""
        # All embeddings: the loss may still be finite, as miners ignore an embedding that is not.
        self.figures = torch.stack([embeddings.sum(), loss])
        self.bad = self.bad | ~self.figures.isfinite().all()

    def on_before_optimizer_step(self, trainer: Any, pl_module: Any, optimizer: torch.optim.Optimizer) -> None:
        """Make the optimizer leave out this step if a number of this or an earlier step is not finite."""
        parameters = chain.from_iterable(group["params"] for group in optimizer.param_groups)  # faster than the module
        gradients = [weights.grad for weights in parameters if weights.grad is not None]
        self.norm = get_total_norm(gradients)
        if not self.scaled:
            self.bad = self.bad | ~self.norm.isfinite()
        if getattr(optimizer, "_step_supports_amp_scaling", False) and not self.scaled:  # if it is fused
            optimizer.found_inf = self.bad.float()  # type: ignore[attr-defined]  # as torch's GradScaler does
            return
        for gradient in gradients:
            gradient.masked_fill_(self.bad, 0)

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Keep the numbers of the batch. Read them if the step is logged."""
        self.step.figures = torch.cat([self.figures, self.norm.view(1)])
        self.step.embeddings, self.step.labels = outputs["embeddings"], outputs["labels"]
        self.unread.append(self.step)
        if pl_module.logged or len(self.unread) == MOST:
            self.read()

    def on_validation_start(self, trainer: Any, pl_module: Any) -> None:
        """Read the numbers."""
        self.read()

    def read(self) -> None:
        """Wait for the device, and count the batches that were not read.

        Of an idle batch, count the triplets that violate the margin.

        Raises:
            NotFiniteError: If an embedding, a loss or a gradient is not finite.
        """
        steps, self.unread = self.unread, []
        figures = torch.stack([step.figures for step in steps]).tolist() if steps else []
        for step, (embeddings, loss, norm) in zip(steps, figures, strict=True):
            blamed = remedy = ""
            if not math.isfinite(embeddings):
                blamed, remedy = "an embedding is not finite", "use trainer.precision=32"
            elif not math.isfinite(loss):
                blamed, remedy = f"the loss is {loss}", "use trainer.precision=32"
            elif not math.isfinite(norm) and not self.scaled:
                blamed, remedy = "the gradient is not finite", "set trainer.gradient_clip_val=1"
            if blamed:
                self.step = step
                raise NotFiniteError(f"{blamed} at step {step.number}: lower optimizer.lr or {remedy}")
            self.counts["batches"] += 1
            if loss == 0:
                self.counts["idle"] += 1
                state = triplet_telemetry(step.embeddings, step.labels, None, self.margin)
                self.counts["missed"] += int(state["active_triplets"])

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Log the counts. End a training whose batches were all idle although triplets violate the margin."""
        self.read()
        epoch, (batches, idle, missed) = trainer.current_epoch + 1, self.counts.values()
        pl_module.log("train/idle_batches", float(idle))
        if idle:
            log.warning(
                "epoch %d: %d of %d batches had no triplet for the loss, and %d triplets in them violate the margin",
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
                self.step.number = trainer.global_step
                raise NotFiniteError(f"{name} is not finite: its checkpoint is not written; lower optimizer.lr")

    def on_exception(self, trainer: Any, pl_module: Any, exception: BaseException) -> None:
        """Write not_finite.json about the step at which a number was not finite."""
        if isinstance(exception, NotFiniteError) and trainer.is_global_zero:
            rows, names = self.step.rows.tolist(), trainer.datamodule.partition.faces.names
            step = {
                "error": str(exception),
                "step": self.step.number,
                "epoch": self.step.epoch,
                "batch_rows": rows,
                "batch_files": [str(names[row]) for row in rows],
            }
            write_json(self.path, step)
