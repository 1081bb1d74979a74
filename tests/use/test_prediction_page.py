"""The pages of predict and app: neighbours at hand, photos beside their faces, frames folded, strips of tracks."""

import base64
import re
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from fer_lightning.data.faces import CLASSES
from fer_lightning.report.html import png
from fer_lightning.use.detectors import cut
from fer_lightning.use.model import Model, load_model
from fer_lightning.use.prediction_page import Viewer, draw_entry, write_predictions
from fer_lightning.use.recognition import NO_FACE, recognise
from fer_lightning.use.sources import Frame
from fer_lightning.use.strips import Strips
from tests.browser import CHROMIUM, STICKS_OUT, in_chromium
from tests.use.photos import MOST, PLACES, Eyes, bomb, encoded


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


@pytest.fixture
def seeing(model):
    """The model with a detector that finds the faces of ``onto``."""
    return Model(model.backend, model.description, Eyes())


def test_photo_is_answered_as_predict_answers_it(seeing, onto):
    photo = onto((220, 120), PLACES[0][:3], PLACES[1][:3])
    recognition = Viewer(seeing, 5, 20).analyse(encoded(photo))
    assert (recognition.picture.size, recognition.problem) == ((220, 120), None)
    assert [face.box for face in recognition.faces] == list(PLACES)
    assert recognition.faces == seeing.analyze(photo)
    expected = [replace(said, box=None) for said in recognition.faces]
    assert seeing.predict([cut(photo, box) for box in PLACES]) == expected  # class, votes, neighbours, abstained: all
    assert all(sum(said.votes.values()) == pytest.approx(1) for said in recognition.faces)
    assert not any(said.abstained for said in recognition.faces)


def test_answer_shows_boxes_votes_neighbours_and_abstention(model, drawn, monkeypatch):
    image, label = drawn[0][3], CLASSES[drawn[1][3]]
    faces = SimpleNamespace(names=np.array(["train/3.png", "other.png"]), images=drawn[0][2:4])
    viewer = Viewer(model, 2, 20, faces)
    (said,) = model.predict([image])
    text = viewer.answer(encoded(Image.fromarray(image)))
    shown = re.findall(r"<td>(\w+)</td>.*?<td>([\d.]+) %</td>", text, re.DOTALL)
    votes = sorted(said.votes.items(), key=lambda pair: -pair[1])
    assert [(name, float(share)) for name, share in shown] == [
        (name, pytest.approx(100 * share, abs=0.06)) for name, share in votes
    ]
    near = re.findall(r'title="([\w/.]+)".*?</span>(\w+)<br>\n([\d.]+)<br>([\w.]+)</figure>', text, re.DOTALL)
    shown = [(one.name, one.label, f"{one.similarity:.3f}", Path(one.name).name) for one in said.neighbours[:2]]
    assert near == shown
    assert near[0] == ("train/3.png", label, "1.000", "3.png")
    assert text.count(png(image)) == 1  # the face as the network sees it
    assert text.count(png(drawn[0][2])) == 1  # the one neighbour that is at hand
    assert ("abstained" in text, NO_FACE in text) == (False, False)
    monkeypatch.setattr(model.calibration.__class__, "abstains", lambda self, votes, _: votes >= 0)
    assert "The network would rather not say" in viewer.answer(encoded(Image.fromarray(image)))


def test_boxes_are_drawn_on_the_photo_and_no_face_is_an_answer(seeing, onto):
    viewer = Viewer(seeing, 0, 20)
    text = viewer.answer(encoded(onto((640, 480), PLACES[0][:3]), "JPEG"))
    with Image.open(BytesIO(base64.b64decode(text.partition("base64,")[2].partition('"')[0]))) as photo:
        blue = np.abs(np.asarray(photo).astype(int) - (0, 114, 178)).max(axis=2) < 60  # JPEG changes colours a little
    assert blue.shape == (480, 640)
    assert blue[20:81, [10, 70]].mean() > 0.8  # the sides of the first box
    assert blue[:, 200:].sum() == 0
    assert "Nearest training faces" not in text
    assert NO_FACE in viewer.answer(encoded(onto((90, 90))))


def test_photo_is_turned_upright(model):
    wide, exif = Image.new("RGB", (90, 60), "grey"), Image.Exif()
    exif[0x0112] = 6  # EXIF: a quarter turn
    assert Viewer(model, 0, 20).analyse(encoded(wide, "JPEG", exif=exif)).picture.size == (60, 90)


@pytest.fixture
def browser_page(page):
    """Open the page in headless Chromium, with a camera that is none; see that it asks for nothing from elsewhere."""
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the extra browser")
    camera = ["--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
    with playwright.sync_playwright() as engine:
        browser = engine.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", *camera])
        opened, address = browser.new_page(viewport={"width": 390, "height": 900}), f"http://127.0.0.1:{page[0]}/"
        asked, errors = [], []
        opened.on("request", lambda request: asked.append(request.url))
        opened.on("pageerror", lambda error: errors.append(str(error)))
        opened.goto(address)
        yield opened
        assert [url for url in asked if not url.startswith((address, "data:", "blob:"))] == []
        assert errors == []
        browser.close()


@in_chromium
def test_page_in_chromium_takes_photos_and_the_camera(browser_page, onto, model):
    opened, answer = browser_page, browser_page.locator("#answer")

    def upload(name: str, data: bytes, shown: str) -> None:
        opened.locator("#file").set_input_files({"name": name, "mimeType": "image/png", "buffer": data})
        answer.get_by_text(shown).first.wait_for(timeout=20_000)
        assert opened.evaluate("document.documentElement.scrollWidth") <= 390

    photo = onto((220, 120), PLACES[0][:3], PLACES[1][:3])
    good, bad = encoded(photo), "this is no photo that can be read"
    upload("good.png", good, "Nearest training faces")
    expected = model.predict([cut(photo, box) for box in PLACES])
    assert answer.locator(".class").all_inner_texts() == [said.label for said in expected]
    assert answer.locator(".neighbour").count() == 10
    assert opened.evaluate("[...document.images].every(one => one.complete && one.naturalWidth > 0)")
    upload("bomb.png", bomb(40_000), f"{bad}: more than 50,000,000 pixels")
    assert answer.locator(".face").count() == 0  # the earlier answer is gone
    upload("bad.png", b"<img src=x onerror=alert(1)>", f"{bad}: empty or no picture")
    upload("large.png", bytes(MOST + 1), "the photo is larger than 60,000 bytes: give a smaller one")
    upload("empty.jpg", encoded(Image.new("RGB", (90, 90)), "JPEG"), NO_FACE)
    upload("good.webp", encoded(photo, "WEBP"), "Nearest training faces")
    opened.evaluate(
        """bytes => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(bytes)], "dropped.png"));
            document.body.dispatchEvent(new DragEvent("drop", {dataTransfer: transfer, bubbles: true}));
        }""",
        list(encoded(onto((120, 120), PLACES[0][:3]))),
    )
    answer.get_by_text("looking at the photo").wait_for(state="detached")
    answer.locator(".face").wait_for()  # one, where before there were two
    opened.locator("#camera").click()
    opened.locator("#shot").click()
    answer.locator(".face").nth(1).wait_for()  # 640 pixels of a test picture
    opened.locator("#camera").click()
    assert opened.locator("#video").is_hidden()
