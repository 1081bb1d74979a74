"""The labels of a run's training folder that its network does not believe."""

import logging
from pathlib import Path

from omegaconf import DictConfig

from fer_lightning.config.instantiation import instantiate
from fer_lightning.config.verbs import verb
from fer_lightning.data.classes import check_same
from fer_lightning.errors import UserError
from fer_lightning.launch.checks import check
from fer_lightning.launch.trained import over_checkpoint
from fer_lightning.runs.record import run_of
from fer_lightning.use.bundles import read_checkpoint
from fer_lightning.use.doubts import too_weak, write_labels
from fer_lightning.use.judgement import judge

log = logging.getLogger(__name__)


@verb("labels", "list the labels of the training folder that a run's network does not believe")
def labels(cfg: DictConfig) -> None:
    """Judge the labels of a run's training folder and write labels.html and corrections.csv."""
    run, source = run_of(cfg.checkpoint), f"checkpoint={cfg.checkpoint}"
    folder = Path(cfg.output or run)
    if Path(cfg.checkpoint).suffix != ".ckpt":
        raise UserError(f"{source} is not of a run, whose training folder is judged: give the run's folder")
    if (folder / "corrections.csv").exists():  # it may have been edited, and a run may train with it
        raise UserError(f"{folder}/corrections.csv exists already: give another folder by output=, or delete it")
    cfg = over_checkpoint(cfg)
    corrections = cfg.data.corrections
    if corrections is not None and not Path(corrections).exists():
        log.warning("data.corrections=%s is gone: the faces that it left out count as trained on", corrections)
        cfg.data.corrections = None
    check(cfg, "labels")
    (network, description), datamodule = read_checkpoint(cfg.checkpoint), instantiate(cfg.data)
    check_same(description.classes, datamodule.faces.classes, source)
    log.info("judging the labels of the training folder by %s", cfg.checkpoint)
    judgement = judge(network, network.classifier, datamodule.partition, datamodule.audit)
    if weak := too_weak(judgement, datamodule.faces.classes):
        raise UserError(f"{run}: {weak}")
    for line in write_labels(folder, run.name, judgement, datamodule.audit):
        log.info("%s", line)
    log.info("written: %s/labels.html, corrections.csv", folder)
