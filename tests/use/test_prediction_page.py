"""The page of predictions shows the neighbours that are at hand, and a strip for each track of a video."""

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
from tests.browser import CHROMIUM, in_chromium


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
def test_strips_are_readable(checkpoint, drawn, tmp_path, width):
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the extra browser")
    frames = [Frame("film.mp4", n, Image.fromarray(drawn[0][n]), seconds=n / 10) for n in range(30)]
    strips, entries = Strips(CLASSES), []
    for recognition in recognise(load_model(checkpoint), frames, batch_size=32):
        strips.add(recognition)
        entries.append(draw_entry(recognition))
    head = {"checkpoint": "best.ckpt", "input": "film.mp4"}
    write_predictions(tmp_path / "page.html", entries[:2], head, 30, 0, None, CLASSES, strips.draw())
    with playwright.sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page, problems = browser.new_page(viewport={"width": width, "height": 900}), []
        page.on("console", lambda message: problems.append(message.text))
        page.goto((tmp_path / "page.html").as_uri())
        box = page.locator("svg.strip").bounding_box()
        colours = page.locator("svg.strip path").evaluate_all(
            "paths => paths.map(one => one.getBoundingClientRect().width)"
        )
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        browser.close()
    assert (box["width"] > 0.85 * width, box["height"] > 40, problems) == (True, True, [])
    assert max(colours) > 0.5 * box["width"]
