"""Trees of class folders, in every layout and spelling."""

import re

import numpy as np
import pytest

from fer_lightning.data.faces import CLASSES
from fer_lightning.errors import UserError
from tests.data.sources import encode, grey, make_tree, write_folder, write_zip


@pytest.mark.parametrize(
    ("prefix", "folder", "split"),
    [("", "validation", "validation"), ("images/", "val", "validation"), ("images/images/", "test", "test")],
)
def test_tree_gives_equal_faces_from_folder_and_zip(tmp_path, read, prefix, folder, split):
    files = make_tree("train", folder, prefix=prefix)
    faces, zipped = read(write_folder(files, tmp_path / "a")), read(write_zip(files, tmp_path / "a.zip"))
    assert faces.counts() == {"train": [2] * 7, split: [2] * 7}
    assert faces.images.shape == (28, 48, 48)
    assert faces.images.dtype == np.uint8
    assert faces.labels.dtype == np.int64
    assert sorted(faces.names) == faces.names.tolist()
    assert faces.names[-1] == "validation/surprise/1.png" or folder != "validation"
    for image, name in zip(faces.images, faces.names, strict=True):
        np.testing.assert_array_equal(image, grey(list(files).index(prefix + name)))
    assert zipped.fingerprint == faces.fingerprint
    assert zipped.names.tolist() == faces.names.tolist()
    assert faces.remarks == ()


def test_second_copy_of_the_tree_is_ignored_and_counted(tmp_path, read):
    files = make_tree("train", "validation", prefix="images/")
    once = read(write_zip(files, tmp_path / "once.zip"))
    copy = make_tree("train", "validation", prefix="images/images/")
    twice = read(write_zip(files | copy, tmp_path / "twice.zip"))
    assert twice.fingerprint == once.fingerprint
    assert twice.remarks == ("Pictures of a second copy under images/images/ ignored: 28.",)
    with pytest.raises(UserError, match="more than one tree of faces: a; b"):
        read(write_zip(make_tree("train", prefix="a/") | make_tree("test", prefix="b/"), tmp_path / "two.zip"))


def test_fer2013_folders_take_the_split_from_the_file_name(tmp_path, read):
    files = {}
    for name in CLASSES:
        files[f"train/{name}/Training_1.png"] = encode(grey(1))
        files[f"test/{name}/PublicTest_2.png"] = files[f"test/{name}/PublicTest_3.png"] = encode(grey(2))
        files[f"test/{name}/PrivateTest_4.png"] = encode(grey(3))
    faces = read(write_folder(files, tmp_path / "fer"))
    assert faces.counts() == {"train": [1] * 7, "validation": [2] * 7, "test": [1] * 7}
    assert faces.splits[faces.names == "test/sad/PublicTest_2.png"] == ["validation"]


def test_class_folders_in_other_spellings(tmp_path, read):
    spelt = {"angry": "Anger", "disgust": "disgusted", "fear": "scared", "happy": "Happy", "sad": "SADNESS"}
    files = make_tree("train")
    other = {re.sub("/(.*)/", lambda found: f"/{spelt.get(found[1], found[1])}/", name): files[name] for name in files}
    faces = read(write_zip(other, tmp_path / "a.zip"))
    assert faces.counts() == {"train": [2] * 7}
    assert "Pictures of folder disgusted read as disgust: 2." in faces.remarks
    assert len(faces.remarks) == 5


def test_wrong_trees_are_refused(tmp_path, read):
    files = make_tree("train")
    more, others = files | make_tree("test"), {"test/contempt/1.png": encode(grey(0))}
    partial = {name: data for name, data in (more | others).items() if "train/sad/" not in name}
    with pytest.raises(UserError, match=r"holds no face of train/contempt; train/sad; each .* surprise, contempt\.$"):
        read(write_zip(partial, tmp_path / "missing.zip"))
    with pytest.raises(UserError, match="the train split is empty"):
        read(write_zip(make_tree("test"), tmp_path / "test.zip"))
    with pytest.raises(UserError, match=r"no faces in a known layout; found: notes\.txt; pics\."):
        read(write_zip({"pics/1.png": b"", "notes.txt": b""}, tmp_path / "other.zip"))
    with pytest.raises(UserError, match=rf"looked for {tmp_path}/nowhere\)\. .*train,validation.*data\.root=null"):
        read(tmp_path / "nowhere")
