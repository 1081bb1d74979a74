"""Open a page on this machine that says what a trained network sees in a photo: python -m fer_lightning app."""

import logging
from pathlib import Path
from typing import Any

import hydra
from omegaconf import DictConfig

import fer_lightning.config.resolvers  # noqa: F401  registers what conf/ computes
from fer_lightning.config import CONF
from fer_lightning.errors import UserError
from fer_lightning.launch.checks import check
from fer_lightning.launch.entry import run
from fer_lightning.signals import Interrupted

log = logging.getLogger(__name__)


@hydra.main(version_base="1.3", config_path=str(CONF), config_name="app")
def main(cfg: DictConfig) -> None:
    """Serve the page until a signal such as Ctrl-C; nothing of a photo is written."""
    check(cfg, "app")

    from fer_lightning.use.server import listen, serve  # says first what is not installed

    with listen(cfg.port) as place:  # before anything loads: another page may be there
        app = _make(cfg)
        log.info("the page: http://%s:%d (on this machine alone; Ctrl-C ends it)", *place.getsockname())
        try:
            serve(app, place)
        except Interrupted as ended:
            ended.told = True  # there is nothing that could go on
            log.info("the page is closed")
            raise


def _make(cfg: DictConfig) -> Any:
    """Load what the page needs and return it."""
    from fer_lightning.data.readers import read_faces  # these need OpenCV, and a network torch
    from fer_lightning.use.app import Viewer
    from fer_lightning.use.model import load_model
    from fer_lightning.use.server import Uploads, make_app

    detector, model = hydra.utils.instantiate(cfg.detector), load_model(cfg.bundle)
    try:
        faces = read_faces(cfg.faces, cfg.paths.cache_dir, {}, model.image_size) if cfg.faces else None
    except UserError as error:
        raise UserError(f"faces={cfg.faces} cannot be used as a training's faces can by data.root: {error}") from None
    viewer = Viewer(model, detector, cfg.neighbours, cfg.seconds, faces)
    head = {"model": Path(cfg.bundle).name, "detector": detector.note, "certainty": str(model.calibration)}
    return make_app(Uploads(viewer, cfg.max_bytes, cfg.concurrency, cfg.seconds), head)


if __name__ == "__main__":
    run(main, "app")
