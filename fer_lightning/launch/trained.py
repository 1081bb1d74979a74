"""Read what a trained network brings: its run's options and faces."""

from collections.abc import Sequence

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from fer_lightning.config.values import check_values
from fer_lightning.data.faces import Faces
from fer_lightning.data.readers import read_faces
from fer_lightning.errors import UserError
from fer_lightning.runs.checkpoints import read_overrides
from fer_lightning.runs.command import key


def over_checkpoint(cfg: DictConfig) -> DictConfig:
    """Compose the configuration again: the options of the checkpoint, and those of this command line in their place."""
    typed = HydraConfig.get().overrides.task
    saved = read_overrides(cfg.checkpoint, list(map(key, typed)))  # without these Hydra merges two nodes
    return compose_over(saved, typed, f"checkpoint={cfg.checkpoint}")


def compose_over(saved: Sequence[str], typed: Sequence[str], carrier: str) -> DictConfig:
    """Compose the options that a ``carrier`` brings, and typed ones in their place. Check the values."""
    verb = str(HydraConfig.get().job.config_name)
    cfg = hydra.compose(verb, overrides=[*saved, *typed])
    check_values(cfg, verb, carrier)
    return cfg


def training_faces(cfg: DictConfig, image_size: int) -> Faces | None:
    """Read the faces of ``faces=``, from which pages show neighbours; None without that option."""
    if not cfg.faces:
        return None
    try:
        return read_faces(cfg.faces, cfg.paths.cache_dir, {}, image_size)
    except UserError as error:
        raise UserError(f"faces={cfg.faces} cannot be used as a training's faces can by data.root: {error}") from None
