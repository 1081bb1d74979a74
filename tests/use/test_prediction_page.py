"""The page of predictions: neighbours at hand, photos beside their faces, frames folded, a strip for each track."""

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from fer_lightning.data.faces import CLASSES
from fer_lightning.report.html import png
from fer_lightning.use.model import load_model
from fer_lightning.use.prediction_page import draw_entry, write_predictions
from fer_lightning.use.recognition import recognise
from fer_lightning.use.sources import Frame
from fer_lightning.use.strips import Strips
from tests.browser import STICKS_OUT, in_chromium
from tests.use.photos import PLACES, Eyes


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


@in_chromium
@pytest.mark.parametrize("width", [390, 1280])
def test_strips_are_readable(open_page, checkpoint, drawn, tmp_path, width):
    frames = [Frame("film.mp4", n, Image.fromarray(drawn[0][n]), seconds=n / 10) for n in range(30)]
    strips, entries = Strips(CLASSES), []
    for recognition in recognise(load_model(checkpoint), frames, batch_size=32):
        strips.add(recognition)
        entries.append(draw_entry(recognition))
    head = {"checkpoint": "best.ckpt", "input": "film.mp4"}
    write_predictions(tmp_path / "page.html", entries[:2], head, 30, 0, None, CLASSES, strips.draw())
    page = open_page(tmp_path / "page.html", width)
    box = page.locator("svg.strip").bounding_box()
    colours = page.locator("svg.strip path").evaluate_all(
        "paths => paths.map(one => one.getBoundingClientRect().width)"
    )
    assert (box["width"] > 0.85 * width, box["height"] > 40) == (True, True)
    assert max(colours) > 0.5 * box["width"]


@in_chromium
@pytest.mark.parametrize("width", [390, 1280])
def test_photo_stands_beside_its_numbered_faces(open_page, checkpoint, drawn, onto, tmp_path, width):
    photo = onto((220, 120), PLACES[0][:3], PLACES[1][:3])
    frames = [Frame("photo.png", None, photo), Frame("film.mp4", 8, photo, seconds=0.32), Frame("no.png", None, photo)]
    *entries, empty = map(draw_entry, recognise(load_model(checkpoint, Eyes()), frames, batch_size=2))
    entries.append(empty._replace(recognition=empty.recognition._replace(faces=[], problem="no face found")))
    whole = recognise(load_model(checkpoint), [Frame(f"{n}.png", None, onto((48, 48))) for n in range(3)], batch_size=2)
    faces = SimpleNamespace(names=np.array([f"train/{number}.png" for number in range(100)]), images=drawn[0])
    head = {"checkpoint": "best.ckpt", "input": "photos"}
    shown = [*entries, *map(draw_entry, whole)]
    write_predictions(tmp_path / "page.html", shown, head, 6, 5, faces, CLASSES, Strips(CLASSES).draw())
    page = open_page(tmp_path / "page.html", width)
    pictures = page.locator(".picture")
    assert pictures.locator("> h3").all_inner_texts()[:3] == ["photo.png", "frame 8, 0.3 s", "no.png"]
    first = pictures.nth(0)
    assert [text[:2] for text in first.locator(".face h3").all_inner_texts()] == ["1.", "2."]
    boxes = [first.locator(".photo").bounding_box(), *(face.bounding_box() for face in first.locator(".face").all())]
    right, below = [[box[side] for box in boxes] for side in ("x", "y")]
    if width == 1280:  # the photo, and the faces in two columns
        assert right[0] + boxes[0]["width"] < right[1] < right[2]
        assert below[1] == below[2]
    else:
        assert below[0] + boxes[0]["height"] < below[1] < below[2]
    frame = pictures.nth(1)
    assert not frame.locator(".face").first.is_visible()
    frame.locator("summary").click()
    assert frame.locator(".face").first.is_visible()
    assert page.evaluate(STICKS_OUT) == []
    rows = {picture.bounding_box()["y"] for picture in pictures.all()[3:]}
    assert len(rows) == (1 if width == 1280 else 3)  # pictures without a detector stand side by side
