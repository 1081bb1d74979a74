"""The expressions in pictures, a folder, a zip, a video or a camera, by a trained network."""

import logging
import signal
import time
from pathlib import Path

from omegaconf import DictConfig

from fer_lightning.config.instantiation import instantiate
from fer_lightning.config.verbs import verb
from fer_lightning.data.listing import shorten
from fer_lightning.errors import UserError
from fer_lightning.launch.trained import training_faces
from fer_lightning.progress import track
from fer_lightning.signals import Interrupted, command
from fer_lightning.use.annotations import AnnotatedFiles, write_sheet
from fer_lightning.use.detectors import WholePicture
from fer_lightning.use.model import load_model
from fer_lightning.use.prediction_files import prediction_writer
from fer_lightning.use.prediction_page import Entry, draw_entry, write_predictions
from fer_lightning.use.recognition import Tally, recognise
from fer_lightning.use.sources import open_source
from fer_lightning.use.strips import Strips
from fer_lightning.words import counted

log = logging.getLogger(__name__)


@verb("predict", "classify pictures, a folder, a zip, a video or a camera by a trained network")
def predict(cfg: DictConfig) -> None:
    """Write predictions.csv, predictions.json, predictions.html, contact_sheet.png and, with boxes, annotated/."""
    folder, start = Path(cfg.paths.output_dir), time.perf_counter()
    source = open_source(cfg.input, cfg.every, cfg.limit)
    if cfg.smooth and source.rate is None and not source.endless:
        raise UserError(
            f"smooth={cfg.smooth} is for a video or camera, and input={cfg.input} has no times: leave it out"
        )
    model = load_model(cfg.checkpoint, instantiate(cfg.detector))
    log.info("%s: %s", model.source, model.tested)
    faces = training_faces(cfg, model.image_size)
    head = {"checkpoint": str(cfg.checkpoint), "input": str(cfg.input), "detector": model.detector.note}
    rate = None if isinstance(model.detector, WholePicture) else source.rate  # without boxes no film
    tally, strips, entries = Tally(), Strips(model.classes), list[Entry]()
    state = "the first {}; the pictures after them are missing"
    frames = track(source.frames, f"predicting {cfg.input}", source.total)
    try:
        about = head | {"certainty": str(model.calibration)}
        with (
            prediction_writer(folder, model.classes, about, cfg.neighbours, source.remarks, cfg.smooth) as write,
            AnnotatedFiles(folder / "annotated", rate) as annotated,
        ):
            try:
                for recognition in recognise(model, frames, cfg.batch_size, cfg.smooth):
                    command.waits = True  # so that a signal leaves whole rows, and as many as are told
                    write(recognition)
                    tally.add(recognition)
                    strips.add(recognition)
                    annotated.add(recognition)
                    command.waits = False
                    command.obey()
                    shown = len(entries) < cfg.sheet and chosen(tally.pictures - 1, source.total, cfg.sheet)
                    if shown and recognition.picture is not None:
                        entries.append(draw_entry(recognition))
            except Interrupted as interruption:
                if not (source.endless and interruption.signum == signal.SIGINT):
                    raise
                command.listen()  # Ctrl-C is how a camera ends: the files about its pictures are still to be written
        state = "all {}; the pages are not whole"
        if tally.unreadable == tally.pictures:
            raise UserError(f"input={cfg.input}: no picture could be read: {shorten(tally.examples)}")
        write_sheet(
            folder / "contact_sheet.png",
            [entry.cell for entry in entries],
            f"{len(entries):,} of {counted(tally.pictures, 'picture')}, {model.detector.note}",
        )
        write_predictions(
            folder / "predictions.html",
            entries,
            head,
            tally.pictures,
            cfg.neighbours,
            faces,
            model.classes,
            strips.draw(),
        )
    except Interrupted as interruption:
        interruption.announced = True
        name, rows = signal.Signals(interruption.signum).name, state.format(counted(tally.rows, "row"))
        log.warning("%s; %s/predictions.csv and .json hold %s", name, folder, rows)
        raise
    for line in (*tally.lines(), *(f"  {remark}" for remark in source.remarks)):
        log.info(line)
    log.info("%s; %.1f s in all", model.detector.note, time.perf_counter() - start)
    if annotated.problem is not None:
        log.warning("%s", annotated.problem)
    files = "predictions.csv, predictions.json, predictions.html, contact_sheet.png"
    log.info("written: %s/%s%s", folder, files, ", annotated/" if annotated.folder.is_dir() else "")


def chosen(number: int, total: int | None, most: int) -> bool:
    """Return whether the page shows picture ``number``, from 0: ``most`` of ``total``, spread evenly, or the first."""
    return number * most % total < most if total else number < most
