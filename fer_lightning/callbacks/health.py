"""What was happening when numbers ceased to be finite."""

from pathlib import Path

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from torch.nn.utils import get_total_norm

from fer_lightning.errors import NotFiniteError
from fer_lightning.runs.files import write_json


class Guard(Callback):
    """Stop before a step with a gradient that is not finite; leave ``not_finite.json`` next to the run.

    Args:
        output_dir: The run's folder.
    """

    def __init__(self, output_dir: str) -> None:
        self.path = Path(output_dir) / "not_finite.json"
        self.rows = torch.empty(0)
        self.gradient_norm: float | None = None

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: object, idx: int
    ) -> None:
        """Remember which faces are in the batch."""
        self.rows = pl_module.gather(batch.rows)

    def on_before_optimizer_step(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, optimizer: torch.optim.Optimizer
    ) -> None:
        """Measure the gradient.

        Raises:
            NotFiniteError: If it is not finite, unless half precision deals with that by itself.
        """
        gradients = [weights.grad for weights in pl_module.parameters() if weights.grad is not None]
        self.gradient_norm = get_total_norm(gradients).item()
        scaled = getattr(trainer.precision_plugin, "scaler", None) is not None
        if not scaled and not torch.isfinite(torch.tensor(self.gradient_norm)):
            raise NotFiniteError(
                f"the gradient is not finite at step {trainer.global_step}: lower optimizer.lr or set "
                "trainer.gradient_clip_val=1"
            )

    def on_exception(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, exception: BaseException
    ) -> None:
        """Write down the step."""
        if isinstance(exception, NotFiniteError) and trainer.is_global_zero:
            rows = [int(row) for row in self.rows]
            names = trainer.datamodule.partition.faces.names
            write_json(
                self.path,
                {
                    "error": str(exception),
                    "step": trainer.global_step,
                    "epoch": trainer.current_epoch,
                    "learning_rate": trainer.optimizers[0].param_groups[0]["lr"],
                    "last_gradient_norm": str(self.gradient_norm),
                    "batch_rows": rows,
                    "batch_files": [str(names[row]) for row in rows],
                },
            )
