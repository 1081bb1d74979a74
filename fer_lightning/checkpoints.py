"""What a checkpoint says of itself, and reading it safely."""

import logging
import os
import re
import shutil
import zipfile
from collections.abc import Sequence
from pathlib import Path

import lightning
import torch
from lightning.fabric.plugins import TorchCheckpointIO
from lightning.pytorch.callbacks import Callback
from lightning.pytorch.trainer.states import TrainerFn
from packaging.version import Version
from torch import nn

import fer_lightning
from fer_lightning.environment import code_fingerprint
from fer_lightning.errors import NotFiniteError, UserError
from fer_lightning.overrides import allowed
from fer_lightning.weights import check_weights

log = logging.getLogger(__name__)

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
            "code": code_fingerprint(),
            "overrides": self.overrides,
            "data": faces.source,
            "data_fingerprint": faces.fingerprint,
        }

    def on_load_checkpoint(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, checkpoint: dict
    ) -> None:
        """Say so where training goes on with other faces."""
        faces, record = trainer.datamodule.faces, checkpoint[KEY]
        if trainer.state.fn == TrainerFn.FITTING and record["data_fingerprint"] != faces.fingerprint:
            log.warning(
                "resumed on other faces (%s, now %s), so not what one uninterrupted run gives",
                record["data"],
                faces.source,
            )


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


def newest(folder: Path) -> Path:
    """Return the valid checkpoint of a run that has trained longest.

    Raises:
        UserError: If there is none.
    """
    steps = {}
    for path in sorted((folder / "checkpoints").glob("*.ckpt")):
        try:
            steps[path] = (load(str(path), "resume_from")["global_step"], path.stat().st_mtime)
        except UserError as error:
            log.warning("passed over: %s", error)
    if not steps:
        raise UserError(f"{folder} holds no valid checkpoint: start the run anew in another folder")
    return max(steps, key=steps.get)


def take_weights(model: nn.Module, path: str) -> None:
    """Give a model the embedder's weights of a checkpoint and nothing else of it.

    Raises:
        UserError: If they are another network's.
    """
    prefix = "embedder."
    saved = load(path, "init_from")["state_dict"]
    weights = {name.removeprefix(prefix): tensor for name, tensor in saved.items() if name.startswith(prefix)}
    check_weights(model.embedder, weights, f"init_from={path}")
    model.embedder.load_state_dict(weights)
    log.info("starts from the embedder's weights in %s", path)


def load(path: str, option: str) -> dict:
    """Return what a checkpoint of ours holds, on the CPU; nothing that it names is imported or called.

    Args:
        path: The file.
        option: That gave it, for messages.

    Raises:
        UserError: If the file is missing, damaged, no checkpoint of ours, of a newer version, or names code to run.
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
        version = Version(checkpoint[KEY]["version"])
    except Exception as error:
        code = re.search(r"GLOBAL (\S+)", str(error))  # in torch's refusal to unpickle
        reason = f"names code to run ({code[1]})" if code else "is damaged or no fer_lightning checkpoint"
        raise UserError(
            f"{option}={path} ({file.stat().st_size:,} bytes) {reason} ({type(error).__name__}): {_others(file)}"
        ) from error
    if version > Version(fer_lightning.__version__):
        raise UserError(
            f"{option}={path} was written by fer_lightning {version}, and this is {fer_lightning.__version__}: "
            "update it"
        )
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
