"""Weights averaged over the steps of a training, which validate and are saved in place of the latest ones."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.trainer.states import TrainerFn
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from fer_lightning.errors import UserError
from fer_lightning.kinds import CountOrZero, PartShare


class AveragedWeights(WeightAveraging):
    """Lightning's moving average, of the embedder and the loss with the statistics of their batch norms.

    Lightning averages the whole module. The classifier's gallery has no average: it is made anew from averaged weights
    at each validation, and has another shape than before it. So the parts that learn are handed to Lightning as the
    module. Two more things it leaves open: a checkpoint that is written while a validation uses the averaged weights,
    and a test in the process that has trained, which it would give the latest weights.

    Args:
        decay: Share of the average that a step leaves; 1 / (1 - decay) steps count. After the first n steps it is
            (1 + n) / (10 + n) at most, as in TensorFlow's ExponentialMovingAverage: a constant share would keep much
            of the weights that a short training begins with.
        start: Steps of training before the average begins.
    """

    def __init__(self, decay: PartShare, start: CountOrZero) -> None:
        super().__init__(multi_avg_fn=partial(_average, decay))
        self.start = start
        self.in_use = False  # whether the module holds the average, and the average the latest weights

    def should_update(self, step_idx: int | None = None, epoch_idx: int | None = None) -> bool:
        """Average after every step; before ``start`` the average is a copy of the latest weights."""
        return step_idx is not None

    def setup(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, stage: str) -> None:
        """Begin with a copy of the weights."""
        if stage == "fit":
            trainer.precision_plugin.convert_module(pl_module)  # the module itself does so only after its callbacks
            if next(pl_module.parameters()).dtype in (torch.bfloat16, torch.float16):
                raise UserError(
                    f"callbacks=averaged under trainer.precision={trainer.precision}: a step would change the average "
                    "by less than this precision holds; use bf16-mixed"
                )
            self._average_model = AveragedModel(
                _learning(pl_module), device=pl_module.device, use_buffers=True, **self._kwargs
            )

    def on_fit_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Follow the module to its device."""
        if self._average_model is not None:
            self._average_model.to(pl_module.device)

    @contextmanager
    def in_place(self, module: Any) -> Iterator[None]:
        """Let the module embed by the average for a while, without a copy."""
        latest = module.embedder
        module.embedder = self._average_model.module.get_submodule("embedder") if self._average_model else latest
        yield
        module.embedder = latest

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Update the average."""
        if trainer.global_step <= self.start and self._average_model is not None:
            self._average_model.n_averaged.zero_()  # the next update copies
        super().on_train_batch_end(trainer, _learning(pl_module), outputs, batch, batch_idx)

    def on_train_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Leave the average in the module."""
        super().on_train_end(trainer, _learning(pl_module))

    def on_validation_epoch_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Validate the average."""
        super().on_validation_epoch_start(trainer, _learning(pl_module))
        self.in_use = self._average_model is not None

    def on_validation_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        """Go on with the latest weights."""
        super().on_validation_epoch_end(trainer, _learning(pl_module))
        self.in_use = False

    def on_save_checkpoint(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Save the average as the weights, the latest ones beside it."""
        if self._average_model is None:
            return
        super().on_save_checkpoint(trainer, pl_module, checkpoint)
        latest, average = checkpoint["current_model_state"], checkpoint["state_dict"]
        if self.in_use:
            learning = average.keys()
            latest, average = latest | average, {name: latest[name] for name in learning}
        checkpoint["current_model_state"], checkpoint["state_dict"] = latest, latest | average

    def on_load_checkpoint(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, checkpoint: dict[str, Any]
    ) -> None:
        """Go on with both; a test uses the average, which Lightning has loaded already."""
        if trainer.state.fn != TrainerFn.FITTING:
            return
        names = _learning(pl_module).state_dict().keys()
        average = {name: checkpoint["state_dict"][name] for name in names}
        super().on_load_checkpoint(trainer, pl_module, checkpoint | {"state_dict": average})


def _average(decay: float, averages: list[Tensor], latest: list[Tensor], steps: int | Tensor) -> None:
    """Move each average, in place, towards the latest weights, as the step after so many others does."""
    count = int(steps)
    get_ema_multi_avg_fn(min(decay, (1 + count) / (10 + count)))(averages, latest, steps)


def _learning(module: Any) -> Any:
    """Return the parts of a module that are trained; their weights are named as in the module."""
    return nn.ModuleDict({"embedder": module.embedder, "loss": module.loss})
