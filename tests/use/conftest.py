"""One tiny network, fitted and saved as the training does, and pictures to ask it about."""

import threading
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.utils import instantiate
from PIL import Image

from fer_lightning import load_model
from fer_lightning.data.demo import draw_faces
from fer_lightning.data.faces import CLASSES
from fer_lightning.data.pictures import scale
from fer_lightning.models import calibration
from fer_lightning.runs.checkpoints import KEY, fingerprint
from fer_lightning.runs.record import Record, write_record
from fer_lightning.use.model import Model
from tests.conftest import ROOT, options
from tests.use.photos import MOST, Eyes, Waiting


@pytest.fixture(scope="session")
def drawn() -> tuple[np.ndarray, np.ndarray]:
    """100 synthetic faces and their labels."""
    faces = draw_faces(100, 0.0, 0, 48)
    return faces.images, faces.labels


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory, drawn) -> Path:
    """The checkpoint of a network that was never trained; its gallery holds the synthetic faces. It lies in a run."""
    GlobalHydra.instance().clear()
    tiny = [option for option in options("small", "tiny") if not option.startswith(("loss", "sampler"))]
    with initialize_config_dir(str(ROOT / "conf"), version_base="1.3"):
        cfg = compose("train", overrides=[*tiny, "model.mirrored=true", "classifier.k=9", "run_name=a", "logger=none"])
    torch.manual_seed(0)
    module = instantiate(cfg.model)
    images, labels = drawn
    with torch.no_grad():
        for layer in module.modules():
            if isinstance(layer, torch.nn.modules.batchnorm._BatchNorm):
                layer.momentum = None  # takes the statistics of the faces, without which all of them look alike
        module(scale(torch.from_numpy(images)))
        module.eval()
        module.classifier.fit(module(scale(torch.from_numpy(images))), torch.from_numpy(labels))
    run = tmp_path_factory.mktemp("run")
    (run / "checkpoints").mkdir()
    record = {
        "overrides": ["data.drawn.count=200"],
        "version": "0.1.0",
        "classes": list(CLASSES),
        "image_size": 48,
        "data": "synthetic faces",
        "data_fingerprint": draw_faces(**{**cfg.data.drawn, "count": 200}, image_size=48).fingerprint,
        "gallery": "\n".join(f"train/{number}.png" for number in range(100)),
    }
    saved = {"state_dict": module.state_dict(), "hyper_parameters": dict(module.hparams), KEY: record}
    torch.save(saved, run / "checkpoints" / "best.ckpt")
    figures = {"test/accuracy": 0.425, "test/accuracy_low": 0.4, "test/accuracy_high": 0.45, "test/recall_fear": 0.375}
    weights = fingerprint(module.state_dict())
    faces = {"train_faces": 9, "test_faces": 8, "left_out": 7}
    write_record(run, Record(figures=figures, weights=weights, protocol="honest", proves="much", leaks="", **faces))
    return run / "checkpoints" / "best.ckpt"


@pytest.fixture
def onto(drawn) -> Callable[..., Image.Image]:
    """Compose synthetic faces onto a larger, empty picture."""

    def compose_onto(size: tuple[int, int], *places: tuple[int, int, int]) -> Image.Image:
        picture = Image.new("RGB", size, (120, 130, 140))
        for number, (left, top, side) in enumerate(places):
            picture.paste(Image.fromarray(drawn[0][number]).resize((side, side)), (left, top))
        return picture

    return compose_onto


@pytest.fixture
def pictures(tmp_path, drawn) -> Path:
    """A folder of five faces and a file that is none, in two folders."""
    for number, name in enumerate(("b/2.png", "a/1.png", "b/1.jpg", "c.bmp", "d.png")):
        path = tmp_path / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(drawn[0][number]).save(path)
    (tmp_path / "pictures" / "b" / "bad.png").write_bytes(b"no picture")
    (tmp_path / "pictures" / "notes.txt").write_text("no picture either")
    return tmp_path / "pictures"


@pytest.fixture(scope="module")
def model(checkpoint):
    return load_model(checkpoint)


@pytest.fixture
def page(model, drawn):
    """Serve the page from a thread; its port, and what takes its photos."""
    pytest.importorskip("uvicorn", reason="needs the extra app")
    from fer_lightning.use import server

    faces = SimpleNamespace(names=np.array([f"train/{number}.png" for number in range(100)]), images=drawn[0])
    viewer = Waiting(Model(model.backend, model.description, Eyes()), 5, 20, faces)
    viewer.gate.set()
    taker = server.Uploads(viewer, MOST, 1, 2.0)
    place = server.listen(0)
    serving = server.make_server(taker, {"model": "best.ckpt", "detector": Eyes.note})
    thread = threading.Thread(target=serving.run, kwargs={"sockets": [place]})
    thread.start()
    while not serving.started:
        time.sleep(0.01)
    yield place.getsockname()[1], taker
    serving.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def calibrated(checkpoint, tmp_path_factory) -> Path:
    """The checkpoint as a training of today would write it: with a temperature and thresholds."""
    path = tmp_path_factory.mktemp("calibrated") / "best.ckpt"
    chosen = calibration.Calibration(2.0, 0.01, 0.9, 0.99, 0.4, 0.01, {"answered": 0.5, "accuracy_answered": 0.9})
    torch.save({**torch.load(checkpoint, weights_only=True), calibration.KEY: asdict(chosen)}, path)
    return path
