"""The page of predictions shows the neighbours that are at hand."""

from types import SimpleNamespace

import numpy as np
from PIL import Image

from fer_lightning.data.faces import CLASSES
from fer_lightning.report.html import png
from fer_lightning.use.model import load_model
from fer_lightning.use.prediction_page import draw_entry, write_predictions
from fer_lightning.use.recognition import recognise
from fer_lightning.use.sources import Frame
from fer_lightning.use.strips import Strips


def test_page_shows_the_neighbours_that_are_at_hand(checkpoint, drawn, tmp_path):
    frames = [Frame("one.png", None, Image.fromarray(drawn[0][3]))]
    entries = [draw_entry(recognition) for recognition in recognise(load_model(checkpoint), frames, batch_size=2)]
    faces = SimpleNamespace(names=np.array(["train/3.png", "train/none.png"]), images=drawn[0][2:4])
    head = {"checkpoint": "best.ckpt", "input": "faces"}
    write_predictions(tmp_path / "page.html", entries, head, 2, 2, faces, CLASSES, Strips(CLASSES).draw())
    page = (tmp_path / "page.html").read_text()
    assert page.count("data:image/png") == 2  # the face, and the one of its two neighbours that is there
    assert page.count(png(faces.images[0])) == 1  # by its name
    assert page.count(entries[0].recognition.faces[0].neighbours[1].name) == 1
    assert "1 of 2 pictures" in " ".join(page.split())
