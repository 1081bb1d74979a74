"""Read what a trained network brings: the configuration of its run and the faces that it was trained on."""

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from fer_lightning.data.faces import Faces
from fer_lightning.data.readers import read_faces
from fer_lightning.errors import UserError


def over_checkpoint(cfg: DictConfig) -> DictConfig:
    """Compose the configuration again: the options of the checkpoint first, then those of this command line."""
    from fer_lightning.runs.checkpoints import read_overrides  # here, because it needs torch

    job = HydraConfig.get()
    return hydra.compose(job.job.config_name, overrides=[*read_overrides(cfg.checkpoint), *job.overrides.task])


def training_faces(cfg: DictConfig, image_size: int) -> Faces | None:
    """Read the faces of ``faces=``, from which pages show neighbours; None without that option.

    Args:
        cfg: Configuration of predict or app.
        image_size: Height and width that the network takes, pixels.

    Raises:
        UserError: If they cannot be read.
    """
    if not cfg.faces:
        return None
    try:
        return read_faces(cfg.faces, cfg.paths.cache_dir, {}, image_size)
    except UserError as error:
        raise UserError(f"faces={cfg.faces} cannot be used as a training's faces can by data.root: {error}") from None
