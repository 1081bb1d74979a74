"""A training from its options to its score: train the embedder, then test the best checkpoint."""

import logging
import shlex
from pathlib import Path
from typing import Any, cast

import lightning
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from fer_lightning.config.instantiation import instantiate
from fer_lightning.config.nodes import own_values
from fer_lightning.config.verbs import verb
from fer_lightning.launch.environment import rank
from fer_lightning.launch.history import remember, trainings
from fer_lightning.launch.resume import finished, resumed
from fer_lightning.runs.command import WHOLE
from fer_lightning.runs.rebuilding import take_weights

log = logging.getLogger(__name__)


@verb("train", "train and test: train.py, where there is no checkout")
def train(cfg: DictConfig) -> float:
    """Return the objective of the best checkpoint, for Hydra's sweepers."""
    if (objective := finished(cfg)) is not None:
        return objective
    checkpoint = resumed(cfg)
    settings = hyperparameters(cfg)  # before instantiate, which replaces references by values
    lightning.seed_everything(cfg.seed, workers=True, verbose=False)
    datamodule = instantiate(cfg.data)
    if checkpoint:
        remember(datamodule, trainings(checkpoint, "resume_from")[1:])
    elif cfg.init_from:
        remember(datamodule, trainings(cfg.init_from, "init_from"))
    model = instantiate(cfg.model)
    if cfg.init_from:
        take_weights(model, cfg.init_from)
    trainer = instantiate(cfg.trainer)
    if rank() == 0:
        datamodule.prepare_data()  # here, so that faces are refused before there is a run on disk or in W&B
        OmegaConf.save(cfg, f"{cfg.paths.output_dir}/config.yaml", resolve=True)
    if "wandb" in cfg.logger and cfg.logger.wandb.mode == "offline":
        log_offline()
    for logger in trainer.loggers:
        logger.log_hyperparams(settings)

    trainer.fit(model, datamodule, ckpt_path=checkpoint, weights_only=True)
    if cfg.trainer.fast_dev_run:  # writes no checkpoint: the current weights are scored
        path, objective = None, trainer.callback_metrics[cfg.objective]
    else:
        best: Any = trainer.checkpoint_callback
        path, objective = best.best_model_path, best.best_model_score
    trainer.test(model, datamodule, ckpt_path=path, weights_only=True, verbose=False)
    return objective.item()


def hyperparameters(cfg: DictConfig) -> dict[str, Any]:
    """Return the hyperparameters for the loggers: the settings that runs are compared by, then all options."""
    choices = HydraConfig.get().runtime.choices
    written, resolved = (cast(dict, OmegaConf.to_container(cfg, resolve=resolve)) for resolve in (False, True))
    return {
        **{group: choices[group] for group in ("optimizer", "protocol", "loss", "embedder")},
        "lr": cfg.optimizer.lr,
        "batch_size": cfg.data.batch_size,
        "epochs": cfg.trainer.max_epochs,
        "seed": cfg.seed,
        "options": own_values(written, resolved),
    }


def log_offline() -> None:
    """Log the commands that show and upload the files of W&B, once for a sweep."""
    hydra = HydraConfig.get()
    sweep = hydra.mode == RunMode.MULTIRUN
    if sweep and hydra.job.num:
        return
    folder = shlex.quote(str(Path(hydra.sweep.dir).absolute() if sweep else Path(hydra.runtime.output_dir)))
    log.info("W&B is offline (no key, or no answer); to look at what it notes, and to upload it:")
    jobs = f" {folder}/*/wandb/offline-run-*" if sweep else ""
    log.info("wandb leet %s/wandb", f"{folder}/JOB" if sweep else folder, extra=WHOLE)
    log.info("wandb sync %s/wandb/offline-run-*%s", folder, jobs, extra=WHOLE)
