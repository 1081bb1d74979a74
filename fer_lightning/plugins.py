"""Plugins of the Trainer: writing checkpoints, and sharing batch norm between processes."""

import logging
import shutil
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.plugins.layer_sync import LayerSync
from torch import nn

from fer_lightning.errors import UserError
from fer_lightning.files import replacing
from fer_lightning.runs.checkpoints import load_for_trainer

log = logging.getLogger(__name__)


class AtomicCheckpointIO(TorchCheckpointIO):
    """Write checkpoints whole or not at all, and refuse damaged ones."""

    def load_checkpoint(self, path: str | Path, *args: Any, **kwargs: Any) -> dict[str, Any]:
        """Return the content of a checkpoint, on the CPU; see ``load`` for refusals."""
        return load_for_trainer(str(path), "checkpoint")

    def save_checkpoint(self, checkpoint: dict, path: str | Path, storage_options: object = None) -> None:
        """Write a checkpoint under a temporary name, then rename it. On a full disk, an earlier file stays."""
        path = Path(path)
        try:
            path.parent.mkdir(exist_ok=True)  # only this folder: if the run's own folder is gone, it was deleted
            with replacing(path, ".part") as temporary, temporary.open("wb") as file:
                torch.save(checkpoint, file)
        except (OSError, RuntimeError) as error:  # torch reports a full disk as RuntimeError
            free = shutil.disk_usage(next(folder for folder in path.parents if folder.exists())).free
            raise UserError(
                f"{path} cannot be written ({error}) with {free:,} bytes free: make room, or choose another "
                "hydra.run.dir; earlier checkpoints are as they were"
            ) from error


class SharedStatistics(LayerSync):
    """Batch norm over all processes. Lightning's own drops the activations of timm's layers, and fails on the CPU."""

    def apply(self, model: nn.Module) -> nn.Module:
        """Share the statistics of batch norm between the processes. On the CPU warn that they are not shared."""
        from timm.layers import convert_sync_batchnorm  # here, since it is slow and a single process does not need it

        if next(model.parameters()).device.type != "cpu":
            return convert_sync_batchnorm(model)
        if any(isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d) for layer in model.modules()):
            log.warning(
                "batch norm on the CPU: each process normalises by its own share of a batch, so this is not quite the "
                "training of one process"
            )
        return model

    def revert(self, model: nn.Module) -> nn.Module:
        """Return the model unchanged: in a single process its layers work as before."""
        return model
