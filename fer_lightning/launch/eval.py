"""The test of a checkpoint, again and without training."""

import logging
from pathlib import Path

import lightning
from hydra.utils import instantiate
from omegaconf import DictConfig, OmegaConf

from fer_lightning.config.verbs import verb
from fer_lightning.launch.checks import check
from fer_lightning.launch.environment import rank
from fer_lightning.launch.trained import over_checkpoint
from fer_lightning.runs.record import Record, read_record, run_of
from fer_lightning.words import percent

log = logging.getLogger(__name__)

CAUSES = {  # field of a record -> its name, where two tests of one checkpoint differ
    "data_fingerprint": "faces",
    "protocol": "protocol",
    "corrections": "corrections of labels",
    "test_faces": "number of test faces",
    "environment": "device or packages",
    "processes": "number of processes",
    "code": "code",
}


@verb("eval", "score a checkpoint again: eval.py, where there is no checkout")
def evaluate(cfg: DictConfig) -> float:
    """Return the test accuracy."""
    cfg = over_checkpoint(cfg)
    check(cfg, "eval", carrier=f"checkpoint={cfg.checkpoint}")
    lightning.seed_everything(cfg.seed, workers=True, verbose=False)
    datamodule = instantiate(cfg.data)
    model = instantiate(cfg.model)
    trainer = instantiate(cfg.trainer)
    if rank() == 0:
        datamodule.prepare_data()  # here, so that faces are refused before there is a run on disk
        OmegaConf.save(cfg, f"{cfg.paths.output_dir}/config.yaml", resolve=True)
    trainer.test(model, datamodule, ckpt_path=cfg.checkpoint, weights_only=True, verbose=False)
    if rank() == 0 and not cfg.trainer.fast_dev_run:
        log.info(compare(read_record(Path(cfg.paths.output_dir)), read_record(run_of(cfg.checkpoint))))
    return trainer.callback_metrics["test/accuracy"].item()


def compare(record: Record, run: Record) -> str:
    """Return a sentence that compares the figures of a test with those in the record of the checkpoint's run."""
    if "test/accuracy" not in run.figures:
        return "the run of this checkpoint has noted no test to compare with"
    if run.weights not in (None, record.weights):
        return "the run in this checkpoint's folder tested another network: there is nothing to compare with"
    names = [name for name in record.figures if name.startswith("test/") and name in run.figures]
    different = [name for name in names if record.figures[name] != run.figures.get(name)]
    if not different:
        return f"all {len(names)} figures are those of the run itself, to the last digit"
    causes = [cause for field, cause in CAUSES.items() if getattr(record, field) != getattr(run, field)]
    reason = f"not the same: {', '.join(causes)}"
    if not causes:
        reason = "the run tested another of its checkpoints, or options"
    return (
        f"{len(different)} of {len(names)} figures are not those of the run itself (its test/accuracy: "
        f"{percent(run.figures['test/accuracy'], 2)}); {reason}"
    )
