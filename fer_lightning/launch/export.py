"""Write a trained network as a bundle or as ONNX: python -m fer_lightning export."""

import logging
from functools import partial
from pathlib import Path
from typing import Any

import hydra
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

import fer_lightning.config.resolvers  # noqa: F401  registers what conf/ computes
from fer_lightning.config import CONF
from fer_lightning.data.classes import check_same
from fer_lightning.errors import UserError
from fer_lightning.launch.checks import check
from fer_lightning.launch.entry import run

log = logging.getLogger(__name__)

DRAWN = 350  # faces that stand in for those of the run


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="export")
def main(cfg: DictConfig) -> None:
    """Write the model, compared on the run's test faces where they are at hand, else on synthetic ones."""
    check(cfg, "export")
    if cfg.int8 and cfg.format != "onnx":
        raise UserError("int8=true needs format=onnx: a bundle holds the weights as they were trained")

    from fer_lightning.report.stress import read_stress  # here, so that refusals do not wait for torch
    from fer_lightning.runs.checkpoints import read_overrides
    from fer_lightning.runs.record import read_record
    from fer_lightning.use.bundles import read_checkpoint
    from fer_lightning.use.exporter import Exporter

    checkpoint = Path(cfg.checkpoint)
    network, description = read_checkpoint(checkpoint)
    # The checkpoint's own settings first, then what this command line says.
    cfg = hydra.compose("export", overrides=[*read_overrides(cfg.checkpoint), *HydraConfig.get().overrides.task])
    place = Path(cfg.output or Path(cfg.paths.output_dir) / {"bundle": "bundle", "onnx": "model.onnx"}[cfg.format])
    if place.exists():
        raise UserError(f"output={place} exists already: give another, or delete it")
    own, find_trial = checkpoint.absolute().parents[1], partial(_trial, cfg, description)
    exporter = Exporter(network, description, read_record(own), read_stress(own), find_trial)
    choice = HydraConfig.get().runtime.choices["gallery"]
    if choice != "full":
        exporter.shrink(hydra.utils.instantiate(cfg.gallery), choice)
    if cfg.format == "bundle":
        exporter.bundle(place)
    else:
        exporter.onnx(place, cfg.int8)
    for cost in exporter.costs:
        log.info("%s", cost)
    log.info("written: %s", place)


def _trial(cfg: DictConfig, description: Any) -> Any:
    """Return the run's faces to try the export on; where they are not at hand, synthetic ones without labels."""
    from fer_lightning.data.demo import draw_faces
    from fer_lightning.use.exporter import Trial

    root = cfg.data.root
    if root in (None, "kaggle") or Path(root).exists():
        partition = hydra.utils.instantiate(cfg.data).partition
        check_same(description.classes, partition.faces.classes, f"checkpoint={cfg.checkpoint}")
        images, labels = partition.faces.images, partition.faces.labels
        test, validation = partition.test, partition.validation
        return Trial("test faces", images[test], labels[test], images[validation], labels[validation])
    log.warning("data.root=%s is not at hand: tried on synthetic faces, which tell nothing of the accuracy", root)
    drawn = draw_faces(**{**cfg.data.drawn, "count": DRAWN}, image_size=description.image_size).images
    return Trial("synthetic faces", drawn, None, drawn, None)


if __name__ == "__main__":
    run(main, "export")
