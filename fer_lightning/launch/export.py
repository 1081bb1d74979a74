"""A trained network as a bundle or as an ONNX model."""

import logging
from functools import partial
from pathlib import Path

from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from fer_lightning.config.instantiation import instantiate
from fer_lightning.config.verbs import verb
from fer_lightning.data.classes import check_same
from fer_lightning.data.demo import draw_faces
from fer_lightning.errors import UserError
from fer_lightning.launch.history import judge
from fer_lightning.launch.trained import over_checkpoint
from fer_lightning.report.stress import read_stress
from fer_lightning.runs.checkpoints import fingerprint
from fer_lightning.runs.description import Description
from fer_lightning.runs.record import read_tested, run_of
from fer_lightning.use.bundles import read_checkpoint
from fer_lightning.use.exporter import Exporter, Trial

log = logging.getLogger(__name__)

FILES = {"bundle": "bundle", "onnx": "model.onnx"}  # format -> name of the export
DRAWN = 350  # synthetic faces, where those of the run are not there


@verb("export", "write a trained network as a bundle or as an ONNX model")
def export(cfg: DictConfig) -> None:
    """Write the model and compare it on the run's test faces, or on synthetic faces where those are not there."""
    path = Path(cfg.output or Path(cfg.paths.output_dir) / FILES[cfg.format])
    if (path.suffix.lower() == ".onnx") != (cfg.format == "onnx"):
        raise UserError(f"output={path} must end in .onnx with format=onnx, and must not with format=bundle")
    for written in (path, *([path.with_suffix(".md")] if cfg.format == "onnx" else [])):  # an ONNX model and its card
        if written.exists():
            raise UserError(f"{written} exists already: give another output=, or delete it")
    log.info("reading %s", cfg.checkpoint)
    network, description = read_checkpoint(cfg.checkpoint)
    cfg = over_checkpoint(cfg)
    weights = fingerprint(network.state_dict())
    record, stress = read_tested(cfg.checkpoint, weights), read_stress(run_of(cfg.checkpoint), weights)
    exporter = Exporter(network, description, record, stress, partial(_trial, cfg, description))
    choice = HydraConfig.get().runtime.choices["gallery"]
    if choice != "full":
        exporter.shrink(instantiate(cfg.gallery), choice)
    if cfg.half:
        exporter.halve()
    if cfg.format == "bundle":
        exporter.bundle(path)
    else:
        exporter.onnx(path, cfg.int8)
    for cost in exporter.costs:
        log.info("%s", cost)
    log.info("written: %s", path)


def _trial(cfg: DictConfig, description: Description) -> Trial:
    """Return the run's faces to compare the export on, or synthetic ones without labels."""
    root = cfg.data.root
    if root in (None, "kaggle") or Path(root).exists():
        datamodule = instantiate(cfg.data)
        same = datamodule.faces.fingerprint == description.origin.get("data_fingerprint")
        if same:
            judge(datamodule, cfg.checkpoint)
        partition = datamodule.partition
        check_same(description.classes, partition.faces.classes, f"checkpoint={cfg.checkpoint}")
        images, labels = partition.faces.images, partition.faces.labels
        test, validation = partition.test, partition.validation
        leaks = partition.verdict() if same else None
        return Trial("test faces", images[test], labels[test], images[validation], labels[validation], leaks)
    log.warning("data.root=%s is not at hand: tried on synthetic faces, which tell nothing of the accuracy", root)
    images = draw_faces(**{**cfg.data.drawn, "count": DRAWN}, image_size=description.image_size).images
    return Trial("synthetic faces", images, None, images, None)
