"""Score a checkpoint again without training it.

Started as ``python eval.py`` in a checkout, as ``python -m fer_lightning eval`` elsewhere.
"""

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

import fer_lightning.launch.resolvers  # noqa: F401  registers what conf/ computes
from fer_lightning.launch.checks import check
from fer_lightning.launch.entry import run
from fer_lightning.launch.environment import rank
from fer_lightning.runs.overrides import CONF


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="eval")
def main(cfg: DictConfig) -> float:
    """Return the test accuracy."""
    check(cfg, "eval")

    import lightning  # here, so that --help, completion and refusals answer without waiting for torch

    from fer_lightning.runs.checkpoints import read_overrides

    # The checkpoint's own settings first, then what this command line says.
    overrides = [*read_overrides(cfg.checkpoint), *HydraConfig.get().overrides.task]
    cfg = hydra.compose("eval", overrides=overrides)
    check(cfg, "eval", carrier=f"checkpoint={cfg.checkpoint}")
    if rank() == 0:
        OmegaConf.save(cfg, f"{cfg.paths.output_dir}/config.yaml", resolve=True)
    lightning.seed_everything(cfg.seed, workers=True, verbose=False)
    datamodule = hydra.utils.instantiate(cfg.data)
    model = hydra.utils.instantiate(cfg.model)
    trainer = hydra.utils.instantiate(cfg.trainer)
    trainer.test(model, datamodule, ckpt_path=cfg.checkpoint, weights_only=True, verbose=False)
    return trainer.callback_metrics["test/accuracy"].item()


if __name__ == "__main__":
    run(main, "eval")
