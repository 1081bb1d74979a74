"""Read what a trained network brings: its run's options, faces and weights."""

import logging
from collections.abc import Mapping
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import hydra
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from fer_lightning.config import CONF
from fer_lightning.config.instantiation import instantiate
from fer_lightning.config.values import check_values
from fer_lightning.data.classes import check_same, classes_of
from fer_lightning.data.faces import Faces
from fer_lightning.data.readers import read_faces
from fer_lightning.errors import UserError
from fer_lightning.runs.checkpoints import KEY, load, read_overrides
from fer_lightning.runs.command import key, quoted

log = logging.getLogger(__name__)


def over_checkpoint(cfg: DictConfig) -> DictConfig:
    """Compose the configuration again: the options of the checkpoint first, then those of this command line."""
    job = HydraConfig.get()
    typed = {key(option) for option in job.overrides.task}  # in place of the checkpoint's: Hydra would merge two nodes
    saved = [option for option in read_overrides(cfg.checkpoint) if key(option) not in typed]
    return hydra.compose(job.job.config_name, overrides=[*saved, *job.overrides.task])


def training_faces(cfg: DictConfig, image_size: int) -> Faces | None:
    """Read the faces of ``faces=``, from which pages show neighbours; None without that option."""
    if not cfg.faces:
        return None
    try:
        return read_faces(cfg.faces, cfg.paths.cache_dir, {}, image_size)
    except UserError as error:
        raise UserError(f"faces={cfg.faces} cannot be used as a training's faces can by data.root: {error}") from None


def trained_run(checkpoint: str, places: Mapping[str, str | None]) -> tuple[Any, Any]:
    """Return a run's data module and its model, ready to predict; ``places`` (option -> path) are not the run's."""
    from fer_lightning.models.network import check_weights  # here, so that a refusal does not wait for torch

    cfg = _configuration(checkpoint, places)
    datamodule, model = instantiate(cfg.data), instantiate(cfg.model)
    saved, source = load(checkpoint, "checkpoint"), f"checkpoint={checkpoint}"
    check_same(classes_of(saved[KEY], source), datamodule.faces.classes, source)
    check_weights(model, saved["state_dict"], source)
    model.load_state_dict(saved["state_dict"])
    return datamodule, model.eval()


def _configuration(checkpoint: str, places: Mapping[str, str | None]) -> DictConfig:
    """Compose and check the configuration of a checkpoint, with other paths."""
    paths = {name: path for name, path in {"checkpoint": checkpoint, **places}.items() if path is not None}
    overrides = [*read_overrides(checkpoint), *(f"{name}={quoted(Path(path))}" for name, path in paths.items())]
    with nullcontext() if GlobalHydra().is_initialized() else initialize_config_dir(str(CONF), version_base="1.3"):
        cfg = hydra.compose("eval", overrides=overrides)
    corrections = cfg.data.corrections
    if corrections is not None and not Path(corrections).exists():
        log.warning("data.corrections=%s is gone: the faces that it left out count as trained on", corrections)
        cfg.data.corrections = None
    check_values(cfg, "eval", carrier=checkpoint)
    return cfg
