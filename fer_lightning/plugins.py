"""What the Trainer is given beside callbacks and loggers: how it writes checkpoints, how processes share batch norm."""

import logging
import os
import shutil
from pathlib import Path

import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.plugins.layer_sync import LayerSync
from torch import Tensor, nn
from torch.nn.functional import batch_norm
from torch.nn.modules.batchnorm import _BatchNorm

from fer_lightning.errors import NotFiniteError, UserError
from fer_lightning.models.distributed import gather

log = logging.getLogger(__name__)


class AtomicCheckpointIO(TorchCheckpointIO):
    """Checkpoints that are on the disk whole or not at all, and only with finite weights."""

    def save_checkpoint(self, checkpoint: dict, path: str | Path, storage_options: object = None) -> None:
        """Write under another name, see it on the disk, then rename.

        Raises:
            NotFiniteError: If a weight is not finite; the file of that name stays as it was.
            UserError: If the disk is full or cannot be written; the same.
        """
        for name, weights in checkpoint["state_dict"].items():
            if weights.is_floating_point() and not torch.isfinite(weights).all():
                raise NotFiniteError(f"{name} is not finite: {path} is not written; use optimizer.lr lower than it is")
        path = Path(path)
        temporary = path.with_name(f".{path.name}.part")  # one name: what a killed run left is overwritten
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            with temporary.open("wb") as file:
                torch.save(checkpoint, file)
                file.flush()
                os.fsync(file.fileno())
            os.replace(temporary, path)
        except (OSError, RuntimeError) as error:  # torch reports a full disk as RuntimeError
            temporary.unlink(missing_ok=True)
            free = shutil.disk_usage(next(folder for folder in path.parents if folder.exists())).free
            raise UserError(
                f"{path} cannot be written ({error}) with {free:,} bytes free: make room, or choose another "
                "hydra.run.dir; earlier checkpoints are as they were"
            ) from error


class SharedBatchNorm(_BatchNorm):
    """What torch's SyncBatchNorm is on CUDA, for the CPU, which that refuses. All processes have equally many rows."""

    def forward(self, maps: Tensor) -> Tensor:
        """Normalise (b, C, ...) by the statistics of all processes' rows."""
        if not self.training:
            return batch_norm(maps, self.running_mean, self.running_var, self.weight, self.bias, eps=self.eps)
        values = maps.to(torch.promote_types(maps.dtype, torch.float32))
        rows = [0, *range(2, maps.dim())]
        own = torch.stack([values.mean(rows), values.var(rows, correction=0)])  # (2, C)
        means, variances = gather(own).unbind(1)  # (processes, C)
        mean, variance = means.mean(0), variances.mean(0) + means.var(0, correction=0)
        with torch.no_grad():
            count = len(means) * maps.numel() / maps.shape[1]
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * count / (count - 1), self.momentum)
            self.num_batches_tracked.add_(1)
        scale = self.weight / (variance + self.eps).sqrt()
        shape = [1, -1, *[1] * (maps.dim() - 2)]
        return ((values - mean.view(shape)) * scale.view(shape) + self.bias.view(shape)).to(maps.dtype)


class SharedStatistics(LayerSync):
    """Lightning's ``sync_batchnorm``, for the CPU too; in place, so that weights stay the tensors they are.

    Layers of other classes stay as they are: torch would drop the activation that timm's have built in. Their processes
    normalise by their own share of the batch, which one warning says.
    """

    def apply(self, model: nn.Module) -> nn.Module:
        """Change the class of torch's own layers."""
        left = set()
        for layer in model.modules():
            if type(layer) in (nn.BatchNorm1d, nn.BatchNorm2d) and layer.affine and layer.momentum is not None:
                layer.plain, layer.process_group = type(layer), None  # None: all processes
                layer.__class__ = SharedBatchNorm if model.device.type == "cpu" else nn.SyncBatchNorm
            elif isinstance(layer, _BatchNorm):
                left.add(type(layer).__name__)
        if left:
            log.warning(
                "%s: each process normalises by its own share of a batch, so this is not quite the training of one "
                "process",
                ", ".join(sorted(left)),
            )
        return model

    def revert(self, model: nn.Module) -> nn.Module:
        """Give the layers their class back."""
        for layer in model.modules():
            if isinstance(layer, SharedBatchNorm | nn.SyncBatchNorm):
                layer.__class__ = layer.plain
        return model
