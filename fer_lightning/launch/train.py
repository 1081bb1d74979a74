"""Train the expression embedder, then test the chosen checkpoint: a training from its options to its score.

Started as ``python train.py`` in a checkout, as ``python -m fer_lightning train`` elsewhere.
"""

import logging

import hydra
from omegaconf import DictConfig, OmegaConf

import fer_lightning.launch.resolvers  # noqa: F401  registers what conf/ computes
from fer_lightning.launch.checks import check
from fer_lightning.launch.entry import run
from fer_lightning.launch.environment import rank
from fer_lightning.launch.resume import finished, resumed
from fer_lightning.runs.overrides import CONF

log = logging.getLogger(__name__)


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="train")
def main(cfg: DictConfig) -> float:
    """Return the objective of the chosen checkpoint, for Hydra's sweepers."""
    check(cfg, "train")
    if (objective := finished(cfg)) is not None:
        return objective

    import lightning  # here, so that --help, completion and refusals answer without waiting for torch

    from fer_lightning.runs.checkpoints import take_weights

    checkpoint = resumed(cfg)
    if rank() == 0:
        OmegaConf.save(cfg, f"{cfg.paths.output_dir}/config.yaml", resolve=True)
    lightning.seed_everything(cfg.seed, workers=True, verbose=False)
    datamodule = hydra.utils.instantiate(cfg.data)
    model = hydra.utils.instantiate(cfg.model)
    if cfg.init_from:
        take_weights(model, cfg.init_from)
    trainer = hydra.utils.instantiate(cfg.trainer)
    if "wandb" in cfg.logger and cfg.logger.wandb.mode == "offline":
        folder = f"{cfg.paths.output_dir}/wandb/offline-run-*"
        log.info(
            "W&B is offline (no key, or no answer): `wandb leet` shows the run, `wandb sync %s` uploads it", folder
        )
    for logger in trainer.loggers:
        logger.log_hyperparams(OmegaConf.to_container(cfg, resolve=True))

    trainer.fit(model, datamodule, ckpt_path=checkpoint, weights_only=True)
    fast = bool(cfg.trainer.fast_dev_run)  # writes no checkpoint: the weights at hand are scored
    best = trainer.checkpoint_callback
    objective = trainer.callback_metrics[cfg.objective] if fast else best.best_model_score
    trainer.test(model, datamodule, ckpt_path=None if fast else best.best_model_path, weights_only=True, verbose=False)
    return objective.item()


if __name__ == "__main__":
    run(main, "train")
