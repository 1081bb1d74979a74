"""Score a checkpoint again without training it.

Started as ``python eval.py`` in a checkout, as ``python -m fer_lightning eval`` elsewhere.
"""

import logging
from pathlib import Path

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

import fer_lightning.config.resolvers  # noqa: F401  registers what conf/ computes
from fer_lightning.config import CONF
from fer_lightning.launch.checks import check
from fer_lightning.launch.entry import run
from fer_lightning.launch.environment import importing, rank
from fer_lightning.runs.record import Record, read_record

log = logging.getLogger(__name__)

CAUSES = {  # field of a record -> what it stands for, where the figures of two tests differ
    "data_fingerprint": "faces",
    "protocol": "protocol",
    "test_faces": "number of test faces",
    "environment": "device or packages",
    "processes": "number of processes",
    "code": "code",
}


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="eval")
def main(cfg: DictConfig) -> float:
    """Return the test accuracy."""
    check(cfg, "eval")

    with importing():  # here, so that --help, completion and refusals answer without waiting for torch
        import lightning

        from fer_lightning.runs.checkpoints import read_overrides

    # The checkpoint's own settings first, then what this command line says.
    overrides = [*read_overrides(cfg.checkpoint), *HydraConfig.get().overrides.task]
    cfg = hydra.compose("eval", overrides=overrides)
    check(cfg, "eval", carrier=f"checkpoint={cfg.checkpoint}")
    lightning.seed_everything(cfg.seed, workers=True, verbose=False)
    datamodule = hydra.utils.instantiate(cfg.data)
    model = hydra.utils.instantiate(cfg.model)
    trainer = hydra.utils.instantiate(cfg.trainer)
    if rank() == 0:
        datamodule.prepare_data()  # here, so that faces are refused before there is a run on disk
        OmegaConf.save(cfg, f"{cfg.paths.output_dir}/config.yaml", resolve=True)
    trainer.test(model, datamodule, ckpt_path=cfg.checkpoint, weights_only=True, verbose=False)
    if rank() == 0 and not cfg.trainer.fast_dev_run:
        ours, run = Path(cfg.paths.output_dir), Path(cfg.checkpoint).absolute().parents[1]
        log.info(compare(read_record(ours), read_record(run)))
    return trainer.callback_metrics["test/accuracy"].item()


def compare(ours: Record, run: Record) -> str:
    """Return how the figures of a test compare with those that the checkpoint's run noted of its own test, in words."""
    if "test/accuracy" not in run.figures:
        return "the run of this checkpoint has noted no test to compare with"
    names = [name for name in ours.figures if name.startswith("test/")]
    differ = [name for name in names if ours.figures[name] != run.figures.get(name)]
    if not differ:
        return f"all {len(names)} figures are those of the run itself, to the last digit"
    others = [word for field, word in CAUSES.items() if getattr(ours, field) != getattr(run, field)]
    causes = f"not the same: {', '.join(others)}" if others else "the run tested another of its checkpoints, or options"
    return (
        f"{len(differ)} of {len(names)} figures are not those of the run itself (its test/accuracy: "
        f"{run.figures['test/accuracy']:.2%}); {causes}"
    )


if __name__ == "__main__":
    run(main, "eval")
