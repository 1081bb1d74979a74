"""A page on this machine that shows what a trained network sees in a photo."""

import logging
from pathlib import Path

from omegaconf import DictConfig

from fer_lightning.config.instantiation import instantiate
from fer_lightning.config.verbs import verb
from fer_lightning.launch.trained import training_faces
from fer_lightning.signals import Interrupted
from fer_lightning.use.model import load_model
from fer_lightning.use.prediction_page import Viewer
from fer_lightning.use.server import Uploads, listen, make_server

log = logging.getLogger(__name__)


@verb("app", "open a page on this machine that classifies photos and what a camera sees")
def app(cfg: DictConfig) -> None:
    """Serve the page until a signal such as Ctrl-C; no part of a photo is written."""
    with listen(cfg.port) as socket:  # before the network is loaded, because the port may be taken
        model = load_model(cfg.checkpoint, instantiate(cfg.detector))
        log.info("%s: %s", model.source, model.tested)
        viewer = Viewer(model, cfg.neighbours, cfg.seconds, training_faces(cfg, model.image_size))
        head = {"model": Path(cfg.checkpoint).name, "detector": model.detector.note}
        server = make_server(Uploads(viewer, cfg.max_bytes, cfg.concurrency, cfg.seconds), head)
        log.info("the page: http://%s:%d (on this machine alone; Ctrl-C ends it)", *socket.getsockname())
        try:
            server.run(sockets=[socket])
        except Interrupted as interruption:
            interruption.announced = True  # there is no run to go on with
            log.info("the page is closed")
            raise
