"""Boxes, numbers and classes on pictures; photos of full size and films that other programs can read."""

from dataclasses import replace

import cv2
import numpy as np
import pytest
from PIL import Image

from fer_lightning.use import annotations
from fer_lightning.use.annotations import AnnotatedFiles, annotate
from fer_lightning.use.detectors import Box
from fer_lightning.use.model import Prediction
from fer_lightning.use.recognition import NO_FACE, Recognition

FACE = Prediction("surprise", {"surprise": 1.0}, 1.0, None, False, np.zeros((48, 48)), np.zeros(8))


def recognised(file: str, size: tuple[int, int], *boxes: Box | None, frame: int | None = None) -> Recognition:
    faces = [replace(FACE, box=box) for box in boxes]
    return Recognition(file, frame, Image.new("L", size, 120), None if faces else NO_FACE, faces)


def blue(picture: Image.Image) -> np.ndarray:
    return np.abs(np.asarray(picture.convert("RGB")).astype(int) - (0, 114, 178)).max(axis=2) < 50


def test_boxes_have_their_places_and_tags_stay_off_other_faces():
    wide, narrow = Box(20, 60, 160, 160, 0.9), Box(240, 60, 30, 30, 0.8)
    drawn = blue(annotate(recognised("two.png", (400, 300), wide, narrow)))
    assert drawn[62:218, [20, 180]].all()
    assert drawn[[60, 220], 22:178].all()
    assert not drawn[65:215, 25:175].any()
    tags = drawn[59 - 12 : 58]  # above the boxes, twelve pixels high
    assert tags[:, 20:60].mean() > 0.6  # a number and the class
    assert tags[:, 241:250].mean() > 0.4  # a number
    assert not tags[:, 272:].any()  # for the class the box is too narrow
    half = blue(annotate(recognised("two.png", (400, 300), wide, narrow), 200))
    assert half.shape == (150, 200)
    assert half[31:109, [10, 90]].all()
    assert not blue(annotate(recognised("none.png", (90, 90), None))).any()


def test_photos_are_saved_at_full_size_under_names_of_their_own(tmp_path):
    box = Box(10, 10, 50, 50, 0.9)
    with AnnotatedFiles(tmp_path / "annotated", None) as files:
        for file in ("a/one.png", "a_one.jpg", f"{'x' * 300}.jpg"):
            files.add(recognised(file, (123, 457), box))
        files.add(recognised("nobody.png", (9, 9)))
        files.add(recognised("whole.png", (9, 9), None))
        files.add(Recognition("bad.png", None, None, "empty", []))
    names = sorted(path.name for path in (tmp_path / "annotated").iterdir())
    assert names == ["a_one.jpg", "a_one_1.jpg", f"{'x' * 60}.jpg"]
    with Image.open(tmp_path / "annotated/a_one.jpg") as photo:
        assert (photo.format, photo.size) == ("JPEG", (123, 457))
        assert blue(photo)[12:58, 10].mean() > 0.9


def test_very_long_photo_is_saved_as_far_as_jpeg_goes(tmp_path):
    with AnnotatedFiles(tmp_path, None) as files:
        files.add(recognised("long.png", (70_000, 20), Box(10, 2, 15, 15, 0.9)))
    with Image.open(tmp_path / "long.jpg") as photo:
        assert photo.size == (65_500, 19)


def test_frames_become_a_film_that_keeps_its_time(tmp_path):
    with AnnotatedFiles(tmp_path / "annotated", 12.5) as files:
        for number in range(10):
            frame = recognised("a film.avi", (160, 120), Box(10 + number, 20, 50, 50, 0.9), frame=number)
            files.add(frame._replace(picture=None) if number == 5 else frame)
    assert files.problem is None
    film = cv2.VideoCapture(str(tmp_path / "annotated/a film.mp4"))
    assert film.get(cv2.CAP_PROP_FPS) == 12.5
    frames = [film.read()[1] for _ in range(10)]
    assert (film.read()[0], frames[0].shape) == (False, (120, 160, 3))
    assert (
        np.abs(frames[5].astype(int) - frames[4]).max() < 20
    )  # the frame that could not be read repeats the one before
    assert np.abs(frames[6].astype(int) - frames[4]).max() > 50


def test_film_without_an_encoder_is_one_sentence(tmp_path, monkeypatch):
    monkeypatch.setattr(annotations, "CODEC", "none")
    with AnnotatedFiles(tmp_path / "annotated", 0) as files:
        for number in range(2):
            files.add(recognised("film.avi", (160, 120), frame=number))
    assert files.problem == f"{tmp_path}/annotated/film.mp4 cannot be written: this OpenCV has no encoder for none"
    assert not (tmp_path / "annotated").exists()


@pytest.mark.parametrize(("rate", "shown"), [(None, None), (0.0, 25.0), (0.2, 1.0), (90_000.0, 120.0)])
def test_rate_of_a_film_is_one_that_players_take(tmp_path, rate, shown):
    assert AnnotatedFiles(tmp_path, rate).rate == shown
