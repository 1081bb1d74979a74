"""The command predict: rows, order and counts of its files, and one sentence for each mistake."""

from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from fer_lightning.use import recognition
from fer_lightning.use.annotations import CELL, GAP, draw_cell, write_sheet
from fer_lightning.use.detectors import Box, Detector
from fer_lightning.use.model import load_model
from fer_lightning.use.recognition import NO_FACE, Recognition, Tally, recognise
from fer_lightning.use.sources import Frame

PLACES = (Box(10, 20, 60, 60, 0.9), Box(-5, 0, 30, 30, 0.8))


class Eyes(Detector):
    """Finds as many faces as the picture is hundreds of pixels wide."""

    note = "faces found by Eyes"

    def __call__(self, picture):
        return [(place, picture.crop((0, 0, 48, 48))) for place in PLACES[: picture.width // 100]]


def test_faces_of_a_photograph_and_none(checkpoint, tmp_path):
    model, colours = load_model(checkpoint, Eyes()), {"two.png": 200, "none.png": 50, "one.png": 100}
    frames = [Frame(name, None, Image.new("RGB", (width, 90), "grey")) for name, width in colours.items()]
    frames.append(Frame("bad.png", None, None, "empty"))
    recognitions = list(recognise(model, frames, batch_size=2))
    assert [(one.file, len(one.faces), one.problem) for one in recognitions] == [
        ("two.png", 2, None),
        ("none.png", 0, NO_FACE),
        ("one.png", 1, None),
        ("bad.png", 0, "empty"),
    ]
    assert [face.box for face in recognitions[0].faces] == list(PLACES)
    assert recognitions[0].numbered == [*zip("12", recognitions[0].faces, strict=True)]
    assert recognitions[2].numbered == [("", recognitions[2].faces[0])]
    tracked = [replace(face, track=track) for face, track in zip(recognitions[0].faces, (7, 3), strict=True)]
    assert recognitions[0]._replace(faces=tracked).numbered == [("7", tracked[0]), ("3", tracked[1])]
    cells = [draw_cell(recognition) for recognition in recognitions[:3]]
    write_sheet(tmp_path / "sheet.png", cells, "title")
    with Image.open(tmp_path / "sheet.png") as sheet:
        blue = (np.asarray(sheet.convert("RGB")) == (0, 114, 178)).all(axis=2)
    assert blue[:, : GAP + CELL].sum() > 200  # boxes of the first picture
    assert blue[:, GAP + CELL : 2 * (GAP + CELL)].sum() == 0  # none of the second
    # Each picture is as wide as its cell; under it is its name, and a line for each face or the problem.
    assert [cell.size for cell in cells] == [(200, 90 + 3 * 18), (90 * 200 // 90, 200 + 2 * 18), (200, 180 + 2 * 18)]


def test_unreadable_frame_is_named_by_its_number():
    tally = Tally()
    tally.add(Recognition("film.mp4", 8, None, "this frame cannot be decoded", []))
    assert tally.lines()[1] == "  1 unreadable: film.mp4, frame 8: this frame cannot be decoded"
    assert tally.rows == 1


@pytest.mark.parametrize(("batch_size", "pixels"), [(4, 10**6), (99, 3 * 48 * 48)])
def test_memory_holds_no_more_than_a_batch_or_some_pixels(checkpoint, monkeypatch, batch_size, pixels):
    monkeypatch.setattr(recognition, "PIXELS", pixels)
    alive = []

    def frames():
        for number in range(20):
            alive.append(number)
            yield Frame(f"{number}.png", None, Image.new("L", (48, 48), number))

    for done, _ in enumerate(recognise(load_model(checkpoint, Eyes()), frames(), batch_size)):
        assert len(alive) <= done + 5


def test_one_picture_with_one_face_is_singular():
    tally = Tally(pictures=1, faces=1, abstained=1)
    tally.classes["sad"] = 1
    assert tally.lines() == [
        "1 picture, 1 face: sad 1",
        "  the network abstains from 1 face: column abstained",
    ]
