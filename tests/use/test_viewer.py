"""The page app: answers with numbers, limits of uploads, one sentence for each mistake, and the page in a browser."""

import base64
import re
import signal
import struct
import subprocess
import sys
import threading
import time
import zlib
from http.client import HTTPConnection
from io import BytesIO
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from fer_lightning.data.faces import CLASSES
from fer_lightning.errors import UserError
from fer_lightning.report.html import png
from fer_lightning.use import photos
from fer_lightning.use.detectors import Box, Detector, WholePicture, cut
from fer_lightning.use.model import load_model
from fer_lightning.use.recognition import NO_FACE
from fer_lightning.use.viewer import Viewer
from tests.browser import CHROMIUM, in_chromium
from tests.conftest import ENVIRONMENT

PLACES = (Box(10, 20, 60, 60, 0.9), Box(120, 30, 50, 50, 0.8))
MOST = 60_000  # bytes of a photo; what is larger by one still comes whole, and so no reset overtakes the answer


class Eyes(Detector):
    """Finds a face for each hundred pixels of a picture's width."""

    note = "faces found by Eyes"

    def __call__(self, picture):
        return [(place, cut(picture, place)) for place in PLACES[: picture.width // 100]]


def encoded(picture: Image.Image, kind: str = "PNG", **settings: object) -> bytes:
    file = BytesIO()
    picture.save(file, kind, **settings)
    return file.getvalue()


def bomb(side: int) -> bytes:
    """A PNG whose header promises side x side pixels."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    header = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(bytes(99))) + chunk(b"IEND", b"")
    )


@pytest.fixture(scope="module")
def model(checkpoint):
    return load_model(checkpoint)


def test_photo_is_answered_as_predict_answers_it(model, onto):
    photo = onto((220, 120), PLACES[0][:3], PLACES[1][:3])
    picture, recognition = Viewer(model, Eyes(), 5, 20).analyse(encoded(photo))
    assert (picture.size, recognition.size, recognition.thumbnail.size) == ((220, 120), (220, 120), (320, 175))
    assert recognition.problem is None
    assert [box for box, _ in recognition.faces] == list(PLACES)
    expected = model.predict([cut(photo, box) for box in PLACES])
    assert [said for _, said in recognition.faces] == expected  # class, votes, neighbours, abstained: all of it
    assert all(sum(said.votes.values()) == pytest.approx(1) for _, said in recognition.faces)
    assert not any(said.abstained for _, said in recognition.faces)


def test_answer_shows_boxes_votes_neighbours_and_abstention(model, drawn, monkeypatch):
    image, label = drawn[0][3], CLASSES[drawn[1][3]]
    faces = SimpleNamespace(names=np.array(["train/3.png", "other.png"]), images=drawn[0][2:4])
    viewer = Viewer(model, WholePicture(), 2, 20, faces)
    (said,) = model.predict([image])
    text = viewer.answer(encoded(Image.fromarray(image)))
    shown = re.findall(r"<td>(\w+)</td>.*?<td>([\d.]+) %</td>", text, re.DOTALL)
    votes = sorted(said.votes.items(), key=lambda pair: -pair[1])
    assert [(name, float(share)) for name, share in shown] == [
        (name, pytest.approx(100 * share, abs=0.06)) for name, share in votes
    ]
    near = re.findall(r"</span>(\w+)\n([\d.]+)<br>([\w/.]+)</figure>", text)
    assert near == [(one.label, f"{one.similarity:.3f}", one.name) for one in said.neighbours[:2]]
    assert near[0] == (label, "1.000", "train/3.png")
    assert text.count(png(image)) == 1  # the face as the network sees it
    assert text.count(png(drawn[0][2])) == 1  # the one neighbour that is at hand
    assert ("abstained" in text, NO_FACE in text) == (False, False)
    monkeypatch.setattr(model.calibration.__class__, "abstains", lambda self, votes, _: votes >= 0)
    assert "The network would rather not say" in viewer.answer(encoded(Image.fromarray(image)))


def test_boxes_are_drawn_on_the_photo_and_no_face_is_an_answer(model, onto):
    viewer = Viewer(model, Eyes(), 0, 20)
    text = viewer.answer(encoded(onto((640, 480), PLACES[0][:3]), "JPEG"))
    with Image.open(BytesIO(base64.b64decode(text.partition("base64,")[2].partition('"')[0]))) as photo:
        blue = (np.asarray(photo.convert("RGB")) == (0, 114, 178)).all(axis=2)
    assert blue.shape == (480, 640)
    assert blue[20:81, [10, 70]].mean() > 0.8  # the sides of the first box
    assert blue[:, 200:].sum() == 0
    assert "Nearest training faces" not in text
    assert NO_FACE in viewer.answer(encoded(onto((90, 90))))


def test_photo_is_turned_upright(model):
    wide, exif = Image.new("RGB", (90, 60), "grey"), Image.Exif()
    exif[0x0112] = 6  # EXIF: a quarter turn
    assert Viewer(model, Eyes(), 0, 20).analyse(encoded(wide, "JPEG", exif=exif))[1].size == (60, 90)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "empty or no picture"),
        (b"<script>alert(1)</script>", "empty or no picture"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "empty or no picture"),
        (bomb(40_000), "more than 50,000,000 pixels"),
        (bomb(100), "truncated"),
        (encoded(Image.fromarray(np.full((9, 9), 0.5, np.float32)), "TIFF"), "floating-point grey values"),
    ],
    ids=["empty", "script", "postscript", "bomb", "cut_off", "floats"],
)
def test_what_is_no_photo_is_one_sentence(data, words):
    with pytest.raises(UserError, match=rf"^this is no photo that can be read: .*{words}"):
        photos.decode(data, 20)


def test_decoding_that_takes_too_long_or_breaks_down_is_ended(monkeypatch, tmp_path):
    slow = tmp_path / "slow"
    monkeypatch.setattr(sys, "executable", str(slow))
    for body, words in (
        ("exec sleep 60", "takes longer than 0.5 s to decode"),
        ("kill -9 $$", "its decoder broke down"),
    ):
        slow.write_text(f"#!/bin/sh\n{body}\n")
        slow.chmod(0o755)
        start = time.monotonic()
        with pytest.raises(UserError, match=words):
            photos.decode(b"x", 0.5)
        assert time.monotonic() - start < 10


class Waiting(Viewer):
    """A viewer whose answer can be held back."""

    gate = threading.Event()

    def analyse(self, data):
        self.gate.wait(20)
        return super().analyse(data)


@pytest.fixture
def page(model, drawn):
    """Serve the page from a thread; its port, and what takes its photos."""
    pytest.importorskip("uvicorn", reason="needs the extra app")
    from fer_lightning.use import server

    faces = SimpleNamespace(names=np.array([f"train/{number}.png" for number in range(100)]), images=drawn[0])
    viewer = Waiting(model, Eyes(), 5, 20, faces)
    viewer.gate.set()
    taker = server.Uploads(viewer, MOST, 1, 2.0)
    app = server.make_app(taker, {"model": "best.ckpt", "detector": Eyes.note})
    place = server.listen(0)
    serving = server.make_server(app)
    thread = threading.Thread(target=serving.run, kwargs={"sockets": [place]})
    thread.start()
    while not serving.started:
        time.sleep(0.01)
    yield place.getsockname()[1], taker
    serving.should_exit = True
    thread.join()


def send(port: int, body: object, method: str = "POST", path: str = "/photo", **headers: str) -> tuple[int, str]:
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    try:
        connection.request(method, path, body, headers, encode_chunked="Transfer-Encoding" in headers)
        reply = connection.getresponse()
        return reply.status, reply.read().decode()
    finally:
        connection.close()


def test_uploads_are_limited_and_nothing_is_kept(page, onto, monkeypatch, tmp_path):
    port, taker = page
    gate = taker.viewer.gate
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    good = encoded(onto((220, 120), PLACES[0][:3], PLACES[1][:3]))
    status, text = send(port, good)
    assert (status, text.count('class="face"')) == (200, 2)
    too_large = (413, "the photo is larger than 60,000 bytes: give a smaller one")
    assert send(port, bytes(MOST + 1)) == too_large
    chunks = {"Transfer-Encoding": "chunked"}  # its size is not announced
    assert send(port, iter([bytes(MOST), b"1"]), **chunks) == too_large
    assert send(port, b"no photo") == (422, "this is no photo that can be read: empty or no picture")
    assert send(port, good, Origin="http://evil.example") == (403, "photos are taken from this page alone")
    assert send(port, good, Host="evil.example")[0] == 400
    assert send(port, None, "GET")[0] == 405
    assert send(port, None, "GET", "/../../etc/passwd")[0] == 404
    gate.clear()  # one photo is at work: the next is told to come again
    first: list[tuple[int, str]] = []
    thread = threading.Thread(target=lambda: first.append(send(port, good)))
    thread.start()
    while not taker.at_work:
        time.sleep(0.01)
    assert send(port, good) == (503, "1 photos are being looked at: try again in a moment")
    gate.set()
    thread.join()
    assert first[0][0] == 200
    assert send(port, good)[0] == 200  # whatever came before, there is room again
    assert list(tmp_path.iterdir()) == []


def test_upload_that_does_not_come_is_given_up(page):
    port, _ = page
    connection = HTTPConnection("127.0.0.1", port, timeout=30)
    connection.putrequest("POST", "/photo")
    connection.putheader("Content-Length", "1000")
    connection.endheaders(b"half")
    reply = connection.getresponse()
    assert (reply.status, reply.read()) == (408, b"the photo took longer than 2 s to come: try again")
    connection.close()


@pytest.fixture
def app(run_here, monkeypatch):
    """Run the command."""

    def execute(*arguments: str):
        return run_here("fer_lightning/__main__.py", "app", *arguments, "hydra.run.dir=out")

    return execute


def test_mistake_is_one_sentence(app, page, checkpoint):
    for arguments, words in (
        ([], "bundle is missing: add bundle=..."),
        (["bundle=none"], "bundle=none does not exist"),
        (["checkpoint=x"], "checkpoint is no option: did you mean bundle?"),
        ([f"bundle={checkpoint}", "port=70000"], "port=70000 must be a whole number from 0 to 65535"),
        ([f"bundle={checkpoint}", f"port={page[0]}"], f"port={page[0]} cannot be had (another program has it): give"),
        ([f"bundle={checkpoint}", "port=0", "faces=none"], "faces=none cannot be used"),
    ):
        done = app(*arguments)
        assert (done.code, "Traceback" in done.text) == (1, False), done.text
        assert words in done.text.splitlines()[-1]


def test_missing_extra_is_named(app, checkpoint, monkeypatch):
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    for module in ("fer_lightning.use.server", "fer_lightning.launch.app"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    done = app(f"bundle={checkpoint}")
    assert done.code == 1
    assert done.text.splitlines()[-1].endswith("app needs starlette and uvicorn: pip install -e '.[app]'")


def test_command_serves_until_a_signal_and_writes_no_photo(checkpoint, onto, tmp_path):
    pytest.importorskip("uvicorn", reason="needs the extra app")
    line = [sys.executable, "-m", "fer_lightning", "app", f"bundle={checkpoint}", "port=0", "hydra.run.dir=out"]
    with subprocess.Popen(line, cwd=tmp_path, env=ENVIRONMENT, stdout=subprocess.PIPE, text=True) as process:
        port = int(re.search(r"http://127\.0\.0\.1:(\d+)", process.stdout.readline())[1])
        assert send(port, encoded(onto((90, 90))))[0] == 200
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == "the page is closed\n"
    assert process.returncode == 130
    left = {path.name for path in (tmp_path / "out").rglob("*") if path.is_file()}
    assert left == {"app.log", "config.yaml", "hydra.yaml", "overrides.yaml", ".lock"}


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
    assert answer.locator(".near").count() == 10
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
