"""What a checkpoint says of itself, and reading it safely."""

import re
import zipfile
from collections.abc import Sequence
from pathlib import Path

import lightning
import torch
from lightning.pytorch.callbacks import Callback

import fer_lightning
from fer_lightning.errors import UserError
from fer_lightning.overrides import allowed

KEY = "fer_lightning"


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


def load(path: str, option: str) -> dict:
    """Return what a checkpoint of ours holds, on the CPU; nothing that it names is imported or called.

    Args:
        path: The file.
        option: That gave it, for messages.

    Raises:
        UserError: If the file is missing, damaged, not a checkpoint of ours, or names code to run.
    """
    file = Path(path)
    if not file.is_file():
        raise UserError(f"{option}={path} does not exist: {_others(file)}")
    try:
        with zipfile.ZipFile(file) as archive:  # torch packs nothing, so what is packed is a bomb
            packed = [member.filename for member in archive.infolist() if member.compress_type != zipfile.ZIP_STORED]
        if packed:
            raise ValueError(f"compressed member {packed[0]!r}")
        checkpoint = torch.load(file, map_location="cpu", weights_only=True)
        checkpoint[KEY]["overrides"]
    except Exception as error:
        code = re.search(r"GLOBAL (\S+)", str(error))  # in torch's refusal to unpickle
        reason = f"names code to run ({code[1]})" if code else "is damaged or no fer_lightning checkpoint"
        raise UserError(
            f"{option}={path} ({file.stat().st_size:,} bytes) {reason} ({type(error).__name__}): {_others(file)}"
        ) from error
    return checkpoint


def read_overrides(path: str) -> list[str]:
    """Return the overrides that define a checkpoint's faces and network, for composing our own ``conf/`` again.

    Raises:
        UserError: As ``load``; or if an override does more than choose a file of ``conf/`` or set a plain value.
    """
    return allowed(load(path, "checkpoint")[KEY]["overrides"], f"checkpoint={path}")


def _others(file: Path) -> str:
    """Return the remedy: other checkpoints beside one that cannot be used."""
    others = sorted(other.name for other in file.parent.glob("*.ckpt") if other.name != file.name)
    return f"beside it are {', '.join(others[:5])}" if others else "give logs/.../checkpoints/best.ckpt"
