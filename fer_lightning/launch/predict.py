"""The expressions in pictures, a folder, a zip, a video or a camera, by a trained network."""

import logging
import signal
import time
from pathlib import Path

from hydra.utils import instantiate
from omegaconf import DictConfig

from fer_lightning.config.verbs import verb
from fer_lightning.data.listing import shorten
from fer_lightning.errors import UserError
from fer_lightning.launch.trained import training_faces
from fer_lightning.progress import track
from fer_lightning.signals import Interrupted, command
from fer_lightning.use.model import load_model
from fer_lightning.use.prediction_files import prediction_writer, write_predictions
from fer_lightning.use.recognition import Tally, recognise
from fer_lightning.use.sheet import CELL, write_sheet
from fer_lightning.use.sources import open_source
from fer_lightning.words import counted

log = logging.getLogger(__name__)


@verb("predict", "classify pictures, a folder, a zip, a video or a camera by a trained network")
def predict(cfg: DictConfig) -> None:
    """Write predictions.csv, predictions.json, predictions.html and contact_sheet.png."""
    folder, start = Path(cfg.paths.output_dir), time.perf_counter()
    source = open_source(cfg.input, cfg.every, cfg.limit)
    detector, model = instantiate(cfg.detector), load_model(cfg.checkpoint)
    faces = training_faces(cfg, model.image_size)
    head = {
        "checkpoint": str(cfg.checkpoint),
        "input": str(cfg.input),
        "detector": detector.note,
        "certainty": str(model.calibration),
    }
    tally, sheet, state = Tally(), [], "a part"
    frames = track(source.frames, f"predicting {cfg.input}", source.total)
    try:
        with prediction_writer(folder, model.classes, head, cfg.neighbours, source.remarks) as write:
            try:
                for recognition in recognise(model, detector, frames, cfg.batch_size, cfg.sheet, CELL):
                    command.waits = True  # so that a signal leaves whole rows, and as many as are told
                    write(recognition)
                    tally.add(recognition)
                    command.waits = False
                    command.obey()
                    if recognition.thumbnail is not None:
                        sheet.append(recognition)
            except Interrupted as interruption:
                if not (source.endless and interruption.signum == signal.SIGINT):
                    raise
                command.listen()  # Ctrl-C is how a camera ends: the files about its pictures are still to be written
        state = "all of them; the pages are not whole"
        if tally.unreadable == tally.pictures:
            raise UserError(f"input={cfg.input}: no picture could be read: {shorten(tally.examples)}")
        write_sheet(
            folder / "contact_sheet.png",
            sheet,
            f"{len(sheet):,} of {counted(tally.pictures, 'picture')}, {detector.note}",
        )
        write_predictions(
            folder / "predictions.html", sheet, head, tally.pictures, cfg.neighbours, faces, model.classes
        )
    except Interrupted as interruption:
        interruption.announced = True
        name, rows = signal.Signals(interruption.signum).name, counted(tally.rows, "whole row")
        log.warning("%s; %s/predictions.csv and .json hold %s, %s", name, folder, rows, state)
        raise
    for line in (*tally.lines(), *(f"  {remark}" for remark in source.remarks)):
        log.info(line)
    log.info("%s; %.1f s in all", detector.note, time.perf_counter() - start)
    log.info("written: %s/predictions.csv, predictions.json, predictions.html, contact_sheet.png", folder)
