"""The command predict: rows, order and counts of its files, and one sentence for each mistake."""

import csv
import json
import os
import signal
from functools import partial

import numpy as np
import pytest
from PIL import Image

from fer_lightning.data.faces import CLASSES
from fer_lightning.use.model import load_model
from fer_lightning.use.prediction_files import PART
from fer_lightning.use.sources import Frame, Source
from tests.use.films import write_film


@pytest.fixture
def predict(run_here):
    """Run the command."""
    return partial(run_here, "fer_lightning/__main__.py", "predict")


def test_ctrl_c_ends_a_camera_and_its_pictures_are_written(predict, checkpoint, tmp_path, monkeypatch):
    def frames():
        for number in range(2):
            yield Frame("camera 0", number, Image.new("L", (48, 48), 99), None)
        os.kill(os.getpid(), signal.SIGINT)

    camera = Source(frames(), 0, [], endless=True)
    monkeypatch.setattr("fer_lightning.launch.predict.open_source", lambda *_: camera)
    done = predict(f"checkpoint={checkpoint}", "input=0", "batch_size=1", "hydra.run.dir=out")
    assert (done.code, "2 pictures, 2 faces: " in done.text) == (0, True), done.text
    assert (tmp_path / "out/predictions.html").is_file()


def test_command_writes_rows_in_the_order_of_the_input(predict, checkpoint, pictures, drawn, tmp_path):
    done = predict(f"checkpoint={checkpoint}", f"input={pictures}", "hydra.run.dir=out", "batch_size=2", "sheet=3")
    assert done.code == 0, done.text
    for words in (
        "6 pictures, 5 faces: ",
        "1 unreadable: b/bad.png: empty or no picture",
        "  Files that are hidden or no pictures ignored (notes.txt): 1",
        "each picture is taken as one face (detector=none)",
        "/out/predictions.csv, predictions.json, predictions.html, contact_sheet.png",
    ):
        assert words in done.text
    with (tmp_path / "out/predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["file"] for row in rows] == ["a/1.png", "b/1.jpg", "b/2.png", "b/bad.png", "c.bmp", "d.png"]
    model = load_model(checkpoint)
    expected = model.predict([pictures / row["file"] for row in rows if not row["problem"]])
    for row, prediction in zip((row for row in rows if not row["problem"]), expected, strict=True):
        assert row["class"] == prediction.label
        assert {f"{float(row[f'vote_{name}']):.4f}" for name in CLASSES} == {
            f"{v:.4f}" for v in prediction.votes.values()
        }
        assert float(row["distance"]) == pytest.approx(prediction.distance, abs=2e-3)
        assert (row["abstained"], row["left"], row["frame"]) == ("0", "", "")
    assert (rows[3]["class"], rows[3]["problem"]) == ("", "empty or no picture")
    # The folder holds the first faces of the gallery: each, where no JPEG has touched it, is its own nearest neighbour.
    own = {"b/2.png": 0, "a/1.png": 1, "c.bmp": 3, "d.png": 4}
    near = {row["file"]: (row["neighbour_1"], row["neighbour_1_label"], row["neighbour_1_similarity"]) for row in rows}
    for file, number in own.items():
        assert near[file] == (f"train/{number}.png", CLASSES[drawn[1][number]], "1.000000")
    assert ("neighbour_5" in rows[0], "neighbour_6" in rows[0]) == (True, False)
    assert None not in {value for row in rows for value in row.values()}
    content = json.loads((tmp_path / "out/predictions.json").read_text())
    assert content["complete"] is True
    assert content["remarks"] == ["Files that are hidden or no pictures ignored (notes.txt): 1"]
    assert content["detector"] == "each picture is taken as one face (detector=none)"
    assert [one["file"] for one in content["predictions"]] == [row["file"] for row in rows]
    assert content["predictions"][0]["class"] == rows[0]["class"]
    first = content["predictions"][0]["neighbours"]
    assert [one["name"] for one in first] == [rows[0][f"neighbour_{number}"] for number in range(1, 6)]
    page = (tmp_path / "out/predictions.html").read_text()
    assert 'title="train/1.png"' in page
    assert page.count("data:image/png") == 3  # the faces alone: no faces= was given
    with Image.open(tmp_path / "out/contact_sheet.png") as sheet:
        assert sheet.size == (6 * 210 + 10, 36 + 200 + 2 * 18 + 10)  # one row of pictures, two lines under each


@pytest.mark.parametrize("smooth", [None, 0.15])
def test_film_of_two_rates_has_seconds_tracks_and_smoothed_votes(predict, checkpoint, drawn, tmp_path, smooth):
    times = [0, 1, 2, 3, 6, 9]  # thirtieths of a second
    write_film(tmp_path / "film.mp4", [np.repeat(face[:, :, None], 3, axis=2) for face in drawn[0][:6]], times)
    options = [] if smooth is None else [f"smooth={smooth}"]
    done = predict(f"checkpoint={checkpoint}", "input=film.mp4", "hydra.run.dir=out", *options)
    assert done.code == 0, done.text
    with (tmp_path / "out/predictions.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["seconds"]) for row in rows] == pytest.approx([time / 30 for time in times], abs=1e-3)
    assert [row["track"] for row in rows] == ["1"] * 6
    content = json.loads((tmp_path / "out/predictions.json").read_text())["predictions"]
    assert [(entry["seconds"], str(entry["track"])) for entry in content] == [
        (float(row["seconds"]), row["track"]) for row in rows
    ]
    raw = np.array([[float(row[f"vote_{name}"]) for name in CLASSES] for row in rows])
    if smooth is None:
        assert [*rows[0]][-3:] == ["seconds", "face", "track"]
        votes = raw
    else:
        votes = np.array([[float(row[f"smoothed_{name}"]) for name in CLASSES] for row in rows])
        windows = [raw[:1], raw[:2], raw[:3], raw[:4], raw[2:5], raw[4:]]
        np.testing.assert_allclose(votes, [window.mean(axis=0) for window in windows], atol=2e-6)
        assert list(content[4]["smoothed_votes"].values()) == pytest.approx(list(votes[4]))
    chosen = [votes[number, CLASSES.index(row["class"])] for number, row in enumerate(rows)]
    assert chosen == pytest.approx(votes.max(axis=1), abs=2e-6)
    assert "  followed over time as 1 track: column track" in done.text
    page = (tmp_path / "out/predictions.html").read_text()
    assert page.count('<svg class="strip" viewBox="0 0 3 1"') == 1
    assert page.count("<figcaption>Track 1, 0.0 s to 0.3 s, 6 faces") == 1


def test_sigterm_leaves_whole_rows_that_are_called_a_part(predict, checkpoint, tmp_path, monkeypatch):
    def frames():
        for number in range(9):
            if number == 5:
                os.kill(os.getpid(), signal.SIGTERM)
            yield Frame("=film", number, Image.new("L", (48, 48), 99), None)

    monkeypatch.setattr("fer_lightning.launch.predict.open_source", lambda *_: Source(frames(), 9, []))
    done = predict(f"checkpoint={checkpoint}", "input=film", "batch_size=2", "hydra.run.dir=out")
    assert done.code == 143, done.text
    assert "out/predictions.csv and .json hold the first 4 rows; the pictures after them are missing" in done.text
    assert "nothing was saved" not in done.text
    with (tmp_path / "out/predictions.csv").open() as file:
        *rows, last = csv.DictReader(file)
    assert [(row["file"], row["frame"]) for row in rows] == [(r"\x3dfilm", str(number)) for number in range(4)]
    assert (last["file"], last["problem"]) == ("", PART)
    content = json.loads((tmp_path / "out/predictions.json").read_text())
    assert (len(content["predictions"]), content["complete"]) == (4, False)
    again = predict(f"checkpoint={checkpoint}", "input=film", "hydra.run.dir=out")
    assert again.code == 1
    assert "out holds predictions already: choose another hydra.run.dir, or delete it" in again.text


def test_sigterm_at_the_pages_leaves_all_rows(predict, checkpoint, pictures, tmp_path, monkeypatch):
    monkeypatch.setattr("fer_lightning.launch.predict.write_sheet", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    done = predict(f"checkpoint={checkpoint}", f"input={pictures}", "hydra.run.dir=out")
    assert (done.code, "hold all 6 rows; the pages are not whole" in done.text) == (143, True), done.text
    assert json.loads((tmp_path / "out/predictions.json").read_text())["complete"] is True


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "input is missing: add input=..."),
        (["input=x", "checkpoint={checkpoint}"], "input=x does not exist: give a picture, folder"),
        (["input={bad}", "checkpoint={checkpoint}"], "no picture could be read: bad.png: empty or no picture"),
        (["input={good}", "checkpoint=none.ckpt"], "checkpoint=none.ckpt does not exist"),
        (["input={good}", "checkpoint={checkpoint}", "detector=haar"], "detector=haar does not exist: use one of none"),
        (["input={good}", "checkpoint={checkpoint}", "detector=yunet"], "detector.model is missing"),
        (
            ["input={good}", "checkpoint={checkpoint}", "detector=yuface", "detector.margin=9"],
            "detector.margin=9 must be a number from -0.5 to 3",
        ),
        (["input={good}", "checkpoint={checkpoint}", "faces=none"], "faces=none cannot be used"),
        (["input={good}", "checkpoint={checkpoint}", "every=0"], "every=0 must be a whole number, 1 or more"),
        (
            ["input={good}", "checkpoint={checkpoint}", "smooth=61"],
            "smooth=61 must be a number of seconds from 0 to 60",
        ),
        (["input={good}", "checkpoint={checkpoint}", "smooth=1"], "d.png has no times: leave it out"),
        (["input={good}", "checkpoint={checkpoint}", "batch_siz=2"], "did you mean batch_size"),
    ],
)
def test_mistake_is_one_sentence(predict, checkpoint, pictures, arguments, words):
    places = {"checkpoint": checkpoint, "bad": pictures / "b/bad.png", "good": pictures / "d.png"}
    done = predict(*(argument.format(**places) for argument in arguments), "hydra.run.dir=out")
    assert (done.code, "Traceback" in done.text) == (1, False)
    assert words in done.text.splitlines()[-1]
