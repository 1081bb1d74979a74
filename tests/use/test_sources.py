"""Pictures in their order from every kind of source; what cannot be read is named and passed over."""

import zipfile

import cv2
import numpy as np
import pytest
from PIL import Image

from fer_lightning.errors import UserError
from fer_lightning.use import sources
from fer_lightning.use.sources import open_source


def test_folder_and_zip_are_read_in_order_past_a_bad_file(pictures, tmp_path):
    with zipfile.ZipFile(tmp_path / "pictures.zip", "w") as archive:
        for path in sorted(pictures.rglob("*.*"), reverse=True):
            archive.write(path, path.relative_to(pictures))
    for place in (pictures, tmp_path / "pictures.zip"):
        source = open_source(str(place), 1, None)
        frames = list(source.frames)
        assert [frame.file for frame in frames] == ["a/1.png", "b/1.jpg", "b/2.png", "b/bad.png", "c.bmp", "d.png"]
        assert [frame.problem for frame in frames] == [None, None, None, "empty or no picture", None, None]
        assert source.total == 6
        assert len(list(open_source(str(place), 1, 2).frames)) == 2


def test_nothing_is_read_before_it_is_asked_for(pictures, monkeypatch):
    source = open_source(str(pictures), 1, None).frames
    next(source)
    monkeypatch.setattr(sources, "open_upright", None)
    assert next(source).problem is not None


def test_picture_is_upright_and_colour_on_white(tmp_path):
    picture = Image.new("RGB", (4, 2), "red")
    exif = picture.getexif()
    exif[0x0112] = 6
    picture.save(tmp_path / "turned.jpg", exif=exif)
    Image.new("RGBA", (2, 2), (0, 0, 0, 0)).save(tmp_path / "clear.png")
    (turned,) = open_source(str(tmp_path / "turned.jpg"), 1, None).frames
    (clear,) = open_source(str(tmp_path / "clear.png"), 1, None).frames
    assert (turned.picture.size, turned.picture.mode) == ((2, 4), "RGB")
    assert clear.picture.getpixel((0, 0)) == (255, 255, 255)


def test_video_gives_every_third_frame_by_its_number(tmp_path):
    writer = cv2.VideoWriter(str(tmp_path / "film.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    for number in range(10):
        writer.write(np.full((48, 64, 3), 20 * number, np.uint8))
    writer.release()
    source = open_source(str(tmp_path / "film.avi"), 3, None)
    frames = list(source.frames)
    assert [frame.frame for frame in frames] == [0, 3, 6, 9]
    assert source.total == 4
    assert [round(np.asarray(frame.picture).mean(), -1) for frame in frames] == [0, 60, 120, 180]
    assert [frame.frame for frame in open_source(str(tmp_path / "film.avi"), 3, 2).frames] == [0, 3]


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        (
            "nowhere",
            None,
            "input=.*nowhere does not exist: give a picture, folder, zip, video or the number of a camera",
        ),
        ("film.mp4", b"no film", r"film\.mp4 holds no frame that OpenCV can read"),
        ("pictures.zip", b"no zip", r"pictures\.zip is no whole zip archive"),
    ],
)
def test_what_holds_nothing_is_one_sentence(tmp_path, capfd, name, content, words):
    if content:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=words):
        open_source(str(tmp_path / name), 1, None)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty holds no picture \(.*\.jpg.*\) among 0 files"):
        open_source(str(tmp_path / "empty"), 1, None)


def test_camera_that_is_not_there(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="input=99: there is no camera 99"):
        open_source(99, 1, None)
