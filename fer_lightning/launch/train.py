"""Train the expression embedder, then test the chosen checkpoint: a training from its options to its score.

Started as ``python train.py`` in a checkout, as ``python -m fer_lightning train`` elsewhere.
"""

import logging
import shlex
from pathlib import Path
from typing import Any, cast

import hydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

import fer_lightning.config.resolvers  # noqa: F401  registers what conf/ computes
from fer_lightning.config import CONF
from fer_lightning.config.nodes import own_values
from fer_lightning.launch.checks import check
from fer_lightning.launch.entry import run
from fer_lightning.launch.environment import importing, rank
from fer_lightning.launch.resume import finished, resumed
from fer_lightning.runs.command import WHOLE

log = logging.getLogger(__name__)


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="train")
def main(cfg: DictConfig) -> float:
    """Return the objective of the chosen checkpoint, for Hydra's sweepers."""
    check(cfg, "train")
    if (objective := finished(cfg)) is not None:
        return objective

    with importing():  # here, so that --help, completion and refusals answer without waiting for torch
        import lightning

        from fer_lightning.runs.rebuilding import take_weights

    checkpoint = resumed(cfg)
    settings = hyperparameters(cfg)  # before the parts are made, which puts values in the place of references
    lightning.seed_everything(cfg.seed, workers=True, verbose=False)
    datamodule = hydra.utils.instantiate(cfg.data)
    model = hydra.utils.instantiate(cfg.model)
    if cfg.init_from:
        take_weights(model, cfg.init_from)
    trainer = hydra.utils.instantiate(cfg.trainer)
    if rank() == 0:
        datamodule.prepare_data()  # here, so that faces are refused before there is a run on disk or in W&B
        OmegaConf.save(cfg, f"{cfg.paths.output_dir}/config.yaml", resolve=True)
    if "wandb" in cfg.logger and cfg.logger.wandb.mode == "offline":
        say_offline()
    for logger in trainer.loggers:
        logger.log_hyperparams(settings)

    trainer.fit(model, datamodule, ckpt_path=checkpoint, weights_only=True)
    fast = bool(cfg.trainer.fast_dev_run)  # writes no checkpoint: the weights at hand are scored
    best = trainer.checkpoint_callback
    objective = trainer.callback_metrics[cfg.objective] if fast else best.best_model_score
    trainer.test(model, datamodule, ckpt_path=None if fast else best.best_model_path, weights_only=True, verbose=False)
    return objective.item()


def hyperparameters(cfg: DictConfig) -> dict[str, Any]:
    """Return what the loggers show of a configuration: in short what runs are compared by, then each value once."""
    chosen = HydraConfig.get().runtime.choices
    return {
        **{group: chosen[group] for group in ("optimizer", "protocol", "loss", "embedder")},
        "lr": cfg.optimizer.lr,
        "batch_size": cfg.data.batch_size,
        "epochs": cfg.trainer.max_epochs,
        "seed": cfg.seed,
        "options": own_values(*(cast(dict, OmegaConf.to_container(cfg, resolve=wish)) for wish in (False, True))),
    }


def say_offline() -> None:
    """Name the commands for what W&B keeps on disk, once for a sweep."""
    job = HydraConfig.get()
    if job.mode == RunMode.MULTIRUN and job.job.num:
        return
    folder = Path(job.sweep.dir).absolute() if job.mode == RunMode.MULTIRUN else Path(job.runtime.output_dir)
    place = shlex.quote(str(folder))
    log.info("W&B is offline (no key, or no answer); to look at what it notes, and to upload it:")
    if job.mode == RunMode.MULTIRUN:
        log.info("wandb leet %s/JOB/wandb", place, extra=WHOLE)
        log.info("wandb sync %s/wandb/offline-run-* %s/*/wandb/offline-run-*", place, place, extra=WHOLE)
    else:
        log.info("wandb leet %s/wandb", place, extra=WHOLE)
        log.info("wandb sync %s/wandb/offline-run-*", place, extra=WHOLE)


if __name__ == "__main__":
    run(main, "train")
