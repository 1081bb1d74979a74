"""Pictures in their order from every kind of source; what cannot be read is named and passed over."""

import os
import zipfile

import cv2
import numpy as np
import pytest
from PIL import Image

from fer_lightning.errors import UserError
from fer_lightning.use import sources
from fer_lightning.use.sources import open_source
from tests.use.films import write_film


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


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_film_of_two_rates_gives_the_times_of_its_container(tmp_path, suffix):
    times = [*range(10), *range(10, 40, 3)]  # 30 frames a second, then 10
    write_film(tmp_path / f"film{suffix}", [np.full((48, 64, 3), 10 * n, np.uint8) for n in range(20)], times)
    frames = list(open_source(str(tmp_path / f"film{suffix}"), 3, None).frames)
    assert [frame.frame for frame in frames] == [0, 3, 6, 9, 12, 15, 18]
    assert [frame.seconds for frame in frames] == pytest.approx([times[frame.frame] / 30 for frame in frames], abs=1e-3)
    assert [round(np.asarray(frame.picture).mean(), -1) for frame in frames] == [0, 30, 60, 90, 120, 150, 180]


def test_film_is_upright_by_its_display_matrix(tmp_path):
    picture = np.zeros((48, 64, 3), np.uint8)
    picture[:, :32] = 255  # its left half is white
    write_film(tmp_path / "film.mp4", [picture], [0])
    content = (tmp_path / "film.mp4").read_bytes()
    one, quarter = (1 << 16).to_bytes(4), (-(1 << 16)).to_bytes(4, signed=True)
    none, last = bytes(4), (1 << 30).to_bytes(4)
    matrices = (
        [one, none, none, none, one, none, none, none, last],
        [none, one, none, quarter, none, none, none, none, last],
    )
    upright, turned = map(b"".join, matrices)
    start = content.index(upright, content.index(b"tkhd"))
    (tmp_path / "film.mp4").write_bytes(content[:start] + turned + content[start + len(upright) :])
    (frame,) = open_source(str(tmp_path / "film.mp4"), 1, None).frames
    assert frame.picture.size == (48, 64)
    assert (frame.picture.getpixel((24, 8))[0] > 240, frame.picture.getpixel((24, 56))[0] < 15) == (True, True)


class Film:
    """A film at 10 frames a second, of which only the frames of some numbers can be read, after so many failures."""

    def __init__(self, announced, numbers, failures=2):
        self.grabs = []
        for before, number in zip([-1, *numbers], numbers, strict=False):
            self.grabs += [None] * (failures if number > before + 1 else 0) + [number]
        self.number, self.announced = -1, announced

    def get(self, what):
        values = {cv2.CAP_PROP_POS_MSEC: 100 * self.number, cv2.CAP_PROP_FPS: 10}
        return values.get(what, self.announced)

    def grab(self):
        number = self.grabs.pop(0) if self.grabs else None
        self.number = self.number if number is None else number
        return number is not None

    def retrieve(self):
        return True, np.full((4, 4, 3), self.number, np.uint8)

    def release(self):
        self.grabs = None


@pytest.mark.parametrize(
    ("announced", "numbers", "every", "limit", "frames", "lines"),
    [
        (5, [0, 1, 2, 3, 4], 1, None, [0, 1, 2, 3, 4], []),
        (9, [0, 1, 5, 6], 1, None, [0, 1, -2, -3, -4, 5, 6], ["4 of the 9"]),
        (9, [0, 1, 5, 6, 8], 2, None, [0, -2, -4, 6, 8], ["5 of the 9"]),
        (9, [0, 1, 5, 6], 1, 4, [0, 1, -2, -3], []),
        (9, [0, 1, 5, 3, 6], 1, None, [0, 1, -2, -3, -4, 5, 6], ["4 of the 9"]),  # 3 comes too late
        (9, [0, 1, 2], 2, 1, [0], []),
        (2**62, [0, 1, 2], 1, None, [0, 1, 2], [f"3 of the {2**62:,}"]),  # it announces nonsense, and ends
        (-7, [0, 1, 2], 1, None, [0, 1, 2], []),
    ],
)
def test_damaged_video_goes_on_to_the_last_frame_that_can_be_read(
    tmp_path, monkeypatch, announced, numbers, every, limit, frames, lines
):
    (tmp_path / "film.mp4").write_bytes(b"x")
    monkeypatch.setattr(sources, "_capture", lambda _: Film(announced, numbers))
    source = open_source(str(tmp_path / "film.mp4"), every, limit)
    read = list(source.frames)
    assert [frame.frame if frame.picture else -frame.frame for frame in read] == frames
    assert [np.asarray(frame.picture).max() for frame in read if frame.picture] == [n for n in frames if n >= 0]
    assert {frame.problem for frame in read if not frame.picture} <= {"this frame cannot be decoded"}
    assert source.remarks == [f"film.mp4: {line} frames that it announces could be read" for line in lines]
    assert [frame.seconds for frame in read] == [frame.frame / 10 if frame.picture else None for frame in read]


def test_frame_without_a_time_comes_after_the_one_before_it(tmp_path, monkeypatch):
    (tmp_path / "film.mpg").write_bytes(b"x")
    film, times = Film(3, [0, 1, 2]), iter([0, 100, 0])
    monkeypatch.setattr(film, "get", lambda what: next(times) if what == cv2.CAP_PROP_POS_MSEC else 10)
    monkeypatch.setattr(sources, "_capture", lambda _: film)
    assert [frame.seconds for frame in open_source(str(tmp_path / "film.mpg"), 1, None).frames] == [0, 0.1, 0.2]


def test_cut_video_says_how_many_frames_it_lacks(tmp_path):
    writer = cv2.VideoWriter(str(tmp_path / "film.avi"), cv2.VideoWriter_fourcc(*"MJPG"), 10, (64, 48))
    for number in range(20):
        writer.write(np.full((48, 64, 3), 10 * number, np.uint8))
    writer.release()
    content = (tmp_path / "film.avi").read_bytes()
    (tmp_path / "film.avi").write_bytes(content[: len(content) * 6 // 10])
    source = open_source(str(tmp_path / "film.avi"), 1, None)
    number = len(list(source.frames))
    assert 1 < number < 20
    assert source.remarks == [f"film.avi: {number} of the 20 frames that it announces could be read"]


def test_frames_are_in_natural_order_and_what_is_passed_over_is_named(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("frame_10.png", "frame_2.png", "frame_02.png", "b.png", "=1.png", "a1b20.png", "a1b3.png"):
        Image.new("L", (4, 4)).save(folder / name)
    for name in ("phone.jxl", ".hidden.png", "n\x1b.txt"):
        (folder / name).write_text("")
    (folder / "linked").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe.png")
    pages = [Image.new("L", (4, 4), 80 * number) for number in range(3)]
    for name in ("film.gif", "pages.tif"):
        pages[0].save(folder / name, save_all=True, append_images=pages[1:])
    source = open_source(str(folder), 1, None)
    frames = list(source.frames)
    assert [frame.file for frame in frames] == [
        *("=1.png", "a1b3.png", "a1b20.png", "b.png", "film.gif", "frame_02.png", "frame_2.png", "frame_10.png"),
        *("pages.tif", "pipe.png"),
    ]
    assert [frame.file for frame in frames if frame.problem == "not a regular file"] == ["pipe.png"]
    assert source.remarks == [
        "Linked folders that were not followed (linked): 1",
        r"Files that are hidden or no pictures ignored (.hidden.png; n\x1b.txt; phone.jxl): 3",
        "Pictures of several frames of which the first was read (film.gif: 2 more; pages.tif: 2 more): 2",
    ]


@pytest.mark.parametrize("name", ["pipe", "pipe.png", "pipe.mp4", "pipe.zip"])
def test_pipes_and_devices_are_refused_before_they_are_opened(tmp_path, name):
    os.mkfifo(tmp_path / name)
    with pytest.raises(UserError, match=rf"input=.*{name} is a pipe: give a picture, folder"):
        open_source(str(tmp_path / name), 1, None)
    with pytest.raises(UserError, match="input=/dev/zero is a device: give a picture, folder"):
        open_source("/dev/zero", 1, None)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        (
            "nowhere",
            None,
            "input=.*nowhere does not exist: give a picture, folder, zip, video or the number of a camera",
        ),
        ("~nobody_here/x.png", None, "input=~nobody_here/x.png: Could not determine home directory"),
        ("phone.jxl", b"x", r"phone\.jxl is a picture of a format that is not read: save it as JPEG or PNG"),
        ("film.mp4", b"no film", r"film\.mp4 holds no frame that OpenCV can read"),
        ("pictures.zip", b"no zip", r"pictures\.zip is no whole zip archive"),
    ],
)
def test_what_holds_nothing_is_one_sentence(tmp_path, capfd, name, content, words):
    if content:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=words):
        open_source(name if name.startswith("~") else str(tmp_path / name), 1, None)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UserError, match=r"empty holds no picture \(.*\.jpg.*\) among 0 files"):
        open_source(str(tmp_path / "empty"), 1, None)
    (tmp_path / "empty" / "film.mp4").write_bytes(b"x")
    with pytest.raises(UserError, match=r"among 1 file\. .*no pictures ignored \(film\.mp4\): 1"):
        open_source(str(tmp_path / "empty"), 1, None)


def test_a_source_without_a_name_or_of_a_long_one():
    with pytest.raises(UserError, match=r"^input= is empty: give a picture.* the current folder is input=\. "):
        open_source("", 1, None)
    with pytest.raises(UserError, match=r"^input=a{200} cannot be looked up \(File name too long\)"):
        open_source("a" * 5000, 1, None)


def test_camera_that_is_not_there(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="input=99: there is no camera 99"):
        open_source(99, 1, None)
