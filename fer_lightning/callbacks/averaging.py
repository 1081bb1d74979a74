"""Weight averaging: the average of the weights over the latest steps validates and is saved as the weights."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from lightning.pytorch.callbacks import WeightAveraging
from lightning.pytorch.trainer.states import TrainerFn
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from fer_lightning.errors import UserError
from fer_lightning.kinds import CountOrZero, PartShare


class AveragedWeights(WeightAveraging):
    """Lightning's moving average for the embedder and the loss, with the statistics of their batch norms.

    Lightning would average the whole module, so this class hands it only the parts that are trained. The gallery of a
    classifier cannot be averaged: each validation makes it anew, and its size changes. Two cases are added. A
    checkpoint that is written during a validation holds both weights. A test after the training uses the average.

    Args:
        decay: Weight of the old average in each step; 1 / (1 - decay) steps count. After the first n steps it is
            (1 + n) / (10 + n) at most, as in TensorFlow's ExponentialMovingAverage: a constant share would keep much
            of the weights that a short training begins with.
        start: Steps of training before the average begins.
    """

    def __init__(self, decay: PartShare, start: CountOrZero) -> None:
        super().__init__()
        self.decay = decay
        self.start = start
        self.count = 0  # steps in the average; torch's own number is on the device, and to read it would wait
        self.swapped = False  # True while the module holds the average, and the average holds the latest weights

    def setup(self, trainer: Any, pl_module: Any, stage: str) -> None:
        """Start with a copy of the weights; refuse weights of 16 bits."""
        if stage != "fit":
            return
        trainer.precision_plugin.convert_module(pl_module)  # Lightning itself converts it only after the callbacks
        if next(pl_module.parameters()).dtype in (torch.bfloat16, torch.float16):
            raise UserError(
                f"callbacks=averaged under trainer.precision={trainer.precision}: a step would change the average "
                "by less than this precision holds; use bf16-mixed"
            )
        device = trainer.strategy.root_device
        self._average_model = AveragedModel(_trained(pl_module), device=device, use_buffers=True, **self._kwargs)

    @contextmanager
    def averaged(self, module: Any) -> Iterator[None]:
        """Use the average as the module's embedder inside the block, without a copy."""
        latest = module.embedder
        if self._average_model:
            module.embedder = self._average_model.module.get_submodule("embedder")
        yield
        module.embedder = latest

    def on_train_batch_end(self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int) -> None:
        """Update the average. Up to step ``start`` it is a copy of the latest weights."""
        if self._average_model is None or trainer.global_step == self._latest_update_step:  # gradients are accumulated
            return
        self._latest_update_step = trainer.global_step
        if trainer.global_step <= self.start:
            self.count = 0
        share = min(self.decay, (1 + self.count) / (10 + self.count)) if self.count else 0.0  # 0: a copy
        self.count += 1
        self._average_model.n_averaged.fill_(self.count)
        averages, latest = (
            [*part.parameters(), *part.buffers()] for part in (self._average_model.module, _trained(pl_module))
        )
        for floating in (True, False):  # buffers that count are integers
            pairs = [pair for pair in zip(averages, latest, strict=True) if pair[0].is_floating_point() == floating]
            if pairs:
                get_ema_multi_avg_fn(share)(*map(list, zip(*pairs, strict=True)), self.count)

    def on_validation_epoch_start(self, trainer: Any, pl_module: Any) -> None:
        """Exchange the weights for the average."""
        super().on_validation_epoch_start(trainer, _trained(pl_module))
        self.swapped = self._average_model is not None

    def on_validation_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Exchange the average for the latest weights."""
        super().on_validation_epoch_end(trainer, _trained(pl_module))
        self.swapped = False

    def on_train_end(self, trainer: Any, pl_module: Any) -> None:
        """Leave the average as the weights."""
        super().on_train_end(trainer, _trained(pl_module))

    def on_save_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Save the average as the weights, and the latest weights beside it."""
        if self._average_model is None:
            return
        super().on_save_checkpoint(trainer, pl_module, checkpoint)
        latest, average = checkpoint["current_model_state"], checkpoint["state_dict"]
        if self.swapped:
            latest, average = latest | average, {name: latest[name] for name in average}
        checkpoint["current_model_state"], checkpoint["state_dict"] = latest, latest | average

    def on_load_checkpoint(self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]) -> None:
        """Take back both, to train on. A test uses the average, which Lightning has already loaded as the weights."""
        if trainer.state.fn != TrainerFn.FITTING:
            return
        names = _trained(pl_module).state_dict().keys()
        average = {name: checkpoint["state_dict"][name] for name in names}
        super().on_load_checkpoint(trainer, pl_module, checkpoint | {"state_dict": average})
        if self._average_model is not None:
            self.count = int(self._average_model.n_averaged)


def _trained(module: Any) -> Any:
    """Return the parts of a module that are trained. Their weights have the same names as in the module."""
    return nn.ModuleDict({"embedder": module.embedder, "loss": module.loss})
