"""Classify the faces of pictures, a folder, a zip, a video or a camera: python -m fer_lightning predict."""

import logging
import time
from contextlib import suppress
from pathlib import Path

import hydra
from omegaconf import DictConfig

import fer_lightning.config.resolvers  # noqa: F401  registers what conf/ computes
from fer_lightning.config import CONF
from fer_lightning.data.listing import shorten
from fer_lightning.data.progress import track
from fer_lightning.errors import UserError
from fer_lightning.launch.checks import check
from fer_lightning.launch.entry import run

log = logging.getLogger(__name__)


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="predict")
def main(cfg: DictConfig) -> None:
    """Write predictions.csv, predictions.json, predictions.html and contact_sheet.png."""
    check(cfg, "predict")

    from fer_lightning.data.readers import read_faces  # these need OpenCV, and a network torch
    from fer_lightning.use.model import load_model
    from fer_lightning.use.page import write_predictions
    from fer_lightning.use.predictions import PredictionFiles, look
    from fer_lightning.use.sheet import CELL, write_sheet
    from fer_lightning.use.sources import open_source
    from fer_lightning.use.tally import Tally

    folder, start = Path(cfg.paths.output_dir), time.perf_counter()
    source = open_source(cfg.input, cfg.every, cfg.limit)
    detector, model = hydra.utils.instantiate(cfg.detector), load_model(cfg.checkpoint)
    try:
        faces = read_faces(cfg.faces, cfg.paths.cache_dir, {}, model.image_size) if cfg.faces else None
    except UserError as error:
        raise UserError(f"faces={cfg.faces} cannot be used as a training's faces can by data.root: {error}") from None
    head = {"checkpoint": str(cfg.checkpoint), "input": str(cfg.input), "detector": detector.note}
    head["certainty"] = str(model.calibration)
    tally, sheet = Tally(), []
    with PredictionFiles(folder, model, head, cfg.neighbours) as files, suppress(*[KeyboardInterrupt] * source.endless):
        frames = track(source, f"predicting {cfg.input}")
        for seen in look(model, detector, frames, cfg.batch_size, cfg.sheet, CELL):
            tally.add(seen)
            files.write(seen)
            sheet += [seen] * (seen.small is not None)
    if tally.unreadable_count == tally.pictures:
        raise UserError(f"input={cfg.input}: no picture could be read: {shorten(tally.unreadable)}")
    write_sheet(folder / "contact_sheet.png", sheet, f"{len(sheet):,} of {tally.pictures:,} pictures, {detector.note}")
    write_predictions(folder / "predictions.html", sheet, head, tally.pictures, cfg.neighbours, faces, model.classes)
    for line in tally.lines():
        log.info(line)
    log.info("%s", model.calibration)
    log.info("%s; %.1f s in all", detector.note, time.perf_counter() - start)
    log.info("written: %s/predictions.csv, predictions.json, predictions.html, contact_sheet.png", folder)


if __name__ == "__main__":
    run(main, "predict")
