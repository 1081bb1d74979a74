"""What a checkpoint says of itself, and reading it safely."""

from collections.abc import Sequence
from pathlib import Path

import lightning
import torch
from lightning.pytorch.callbacks import Callback

import fer_lightning
from fer_lightning.errors import UserError

KEY = "fer_lightning"
RUN_ONLY = ("trainer", "logger", "callbacks", "paths", "hydra", "hparams_search", "debug", "resume_from", "checkpoint")


class Provenance(Callback):
    """Write into each checkpoint what made it: plain strings, nothing that loading could call.

    Args:
        overrides: The command line's overrides; composing them again gives the run's configuration.
    """

    def __init__(self, overrides: Sequence[str]) -> None:
        self.overrides = [str(override) for override in overrides]

    def on_save_checkpoint(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, checkpoint: dict
    ) -> None:
        """Add the record."""
        faces = trainer.datamodule.faces
        checkpoint[KEY] = {
            "version": fer_lightning.__version__,
            "overrides": self.overrides,
            "data": faces.source,
            "data_fingerprint": faces.fingerprint,
        }


def read_overrides(path: str) -> list[str]:
    """Return the overrides that define a checkpoint's faces and network, for composing our own ``conf/`` again.

    Raises:
        UserError: If the file is missing, damaged, not a checkpoint of ours, or names code to run.
    """
    if not Path(path).is_file():
        raise UserError(f"checkpoint={path} does not exist: give logs/.../checkpoints/best.ckpt")
    try:
        checkpoint = torch.load(path, map_location="cpu", weights_only=True)
        overrides = checkpoint[KEY]["overrides"]
    except Exception as error:
        raise UserError(
            f"checkpoint={path} ({Path(path).stat().st_size:,} bytes) is damaged or no fer_lightning checkpoint "
            f"({type(error).__name__}): give another one"
        ) from error
    for override in overrides:
        if "_target_" in override or "${" in override:
            raise UserError(f"checkpoint={path} carries the override {override!r}, which could run code: not loaded")
    return [o for o in overrides if o.lstrip("+~").partition("=")[0].split(".")[0].split("/")[0] not in RUN_ONLY]
