"""Faces out of folders, zip archives, csv files and the cache."""

import os
from dataclasses import fields

import numpy as np
import pytest
from PIL import Image

from fer_lightning.data import readers
from fer_lightning.data.demo import draw_faces
from fer_lightning.data.faces import CLASSES
from fer_lightning.data.readers import read_faces, summarize
from fer_lightning.errors import UserError
from tests.data.sources import ARCHIVE, csv_rows, csv_text, encode, grey, make_tree, write_folder, write_zip


def test_csv_alone_in_a_folder_and_in_a_zip(tmp_path, read):
    files = {"fer2013/fer2013.csv": csv_text(csv_rows() + csv_rows("PublicTest") + csv_rows("PrivateTest"))}
    faces = read(write_folder(files, tmp_path / "a"))
    assert faces.counts() == {"train": [1] * 7, "validation": [1] * 7, "test": [1] * 7}
    assert [CLASSES[label] for label in faces.labels[4:7]] == ["sad", "surprise", "neutral"]  # FER2013's order
    assert faces.names[13] == "validation/neutral/csv_00014"
    np.testing.assert_array_equal(faces.images[6], grey(6))
    assert read(tmp_path / "a/fer2013/fer2013.csv").fingerprint == faces.fingerprint
    assert read(write_zip(files, tmp_path / "a.zip")).fingerprint == faces.fingerprint


def test_csv_with_a_column_twice_is_refused(tmp_path, read):
    path = tmp_path / "fer2013.csv"
    path.write_bytes(csv_text(csv_rows(), header="emotion,pixels,Usage,Emotion "))
    with pytest.raises(UserError, match=r"fer2013\.csv, header: column emotion is there more than once\. Correct"):
        read(path)


def test_unreadable_files_are_named_and_skipped(tmp_path, read, monkeypatch):
    good = make_tree("train", faces=8)
    large = encode(Image.new("1", (8000, 7000)))  # 56 megapixels in a small file
    vast = encode(Image.new("1", (20_000, 10_000)))  # Pillow itself raises
    bad = {
        "train/sad/cut.png": good["train/sad/0.png"][:-500],
        "train/sad/empty.jpg": b"",
        "train/sad/large.png": large,
        "train/sad/text.jpg": b"no picture at all",
        "train/sad/vast.png": vast,
    }
    root = write_folder(good | bad | {"train/sad/Thumbs.db": b"x", "train/sad/.hidden.png": b"x"}, tmp_path / "a")
    os.symlink(tmp_path / "gone.png", f"{root}/train/sad/link.png")
    faces = read(root)
    assert faces.counts() == {"train": [8] * 7}
    reasons = dict(faces.unreadable)
    assert sorted(reasons) == sorted([*bad, "train/sad/link.png"])
    assert "truncated" in reasons["train/sad/cut.png"]
    assert reasons["train/sad/empty.jpg"] == reasons["train/sad/text.jpg"] == "empty or no picture"
    assert reasons["train/sad/large.png"] == reasons["train/sad/vast.png"] == "more than 50,000,000 pixels"
    assert reasons["train/sad/link.png"] == "No such file or directory"
    assert faces.remarks == (
        "Files that are hidden or no pictures ignored (train/sad/.hidden.png; train/sad/Thumbs.db): 2.",
    )
    assert "6 unreadable: train/sad/cut.png: " in summarize(faces)
    zipped = write_zip(good | bad, tmp_path / "a.zip")
    monkeypatch.setattr(readers, "MAX_UNREADABLE_SHARE", 0.05)
    with pytest.raises(UserError, match=r"5 of 61 pictures are unreadable, more than 5 %: train/sad/cut\.png: "):
        read(zipped)


def test_faces_are_resized_and_cached_by_size(tmp_path, read):
    steps = {
        name: encode(np.repeat(np.arange(48, dtype=np.uint8) * 5, 48).reshape(48, 48)) for name in make_tree("train")
    }
    tree = write_zip(steps, tmp_path / "a.zip")
    rows = [
        f"{emotion},{' '.join(str(5 * row) for row in range(48) for _ in range(48))},Training" for emotion in range(7)
    ]
    (tmp_path / "fer2013.csv").write_bytes(csv_text(rows))
    for source, count in ((tree, 14), (tmp_path / "fer2013.csv", 7)):
        small, large = read(source), read(source, 64)
        assert large.images.shape == (count, 64, 64)
        assert small.images.shape == (count, 48, 48)
        assert small.remarks == ()
        assert large.remarks == (f"Pictures resized to 64 x 64 pixels: {count}.",)
        expected = 5 * ((np.arange(64) + 0.5) * 48 / 64 - 0.5)  # a ramp stays a ramp, but for its ends
        np.testing.assert_allclose(large.images[0][4:-4, 20], expected[4:-4], atol=1)
        np.testing.assert_array_equal(read(source, 64).images, large.images)
    assert len(list((tmp_path / "cache").iterdir())) == 4


def test_drawn_faces_come_from_the_cache_the_second_time(tmp_path, monkeypatch):
    drawn = {"count": 100, "wrong_label_share": 0.1, "seed": 3}
    first, plain = read_faces(None, str(tmp_path), drawn, 16), draw_faces(**drawn, image_size=16)
    monkeypatch.setattr(readers, "draw_faces", None)
    again = read_faces(None, str(tmp_path), drawn, 16)
    for field in fields(plain):
        for faces in (first, again):
            np.testing.assert_array_equal(getattr(faces, field.name), getattr(plain, field.name))
    assert (again.labels.dtype, again.true_labels.dtype) == (np.int64, np.int64)
    with pytest.raises(TypeError):  # other faces are drawn
        read_faces(None, str(tmp_path), drawn | {"seed": 4}, 16)
    monkeypatch.setattr(np, "__version__", "0")  # which may draw other numbers
    with pytest.raises(TypeError):
        read_faces(None, str(tmp_path), drawn, 16)


@pytest.mark.real_faces
@pytest.mark.skipif(not ARCHIVE.is_file(), reason=f"the real faces are not at {ARCHIVE}")
def test_real_archive(tmp_path, read):
    faces = read(ARCHIVE)
    assert faces.counts() == {
        "train": [3993, 436, 4103, 7164, 4982, 4938, 3205],
        "validation": [960, 111, 1018, 1825, 1216, 1139, 797],
    }
    assert faces.unreadable == faces.remarks == ()
    assert faces.fingerprint.startswith("174726c59adc070e")  # of every checkpoint that was trained on them
    assert faces.rows is not None
    assert len(set(faces.names)) == len(faces) == 35_887
    assert "train      28,821: angry 3,993, disgust 436," in summarize(faces)
