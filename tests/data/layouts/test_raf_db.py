"""RAF-DB as published."""

import pytest

from fer_lightning.data.faces import CLASSES
from fer_lightning.data.layouts import find_classes
from fer_lightning.data.lists import LabelList
from fer_lightning.data.readers import read_faces
from fer_lightning.errors import UserError
from tests.data.sources import write_folder, write_zip
from tests.data.trees import LIST, RAF_DB, raf_db


@pytest.mark.parametrize("images", ["aligned", "original"])
def test_raf_db(tmp_path, read, images):
    files = raf_db(images) | {"basic/Image/more.jpg": b""}
    faces, zipped = read(write_folder(files, tmp_path / "raf")), read(write_zip(files, tmp_path / "raf.zip"))
    assert faces.counts() == {"train": [2] * 7, "test": [1] * 7}
    assert faces.classes == find_classes(str(tmp_path / "raf")) == find_classes(str(tmp_path / "raf.zip")) == CLASSES
    labels = {name.rsplit("/", 1)[1]: CLASSES[label] for name, label in zip(faces.names, faces.labels, strict=True)}
    suffix = "_aligned" if images == "aligned" else ""
    for number, name in enumerate(RAF_DB, start=1):
        assert labels[f"train_{number:05}{suffix}.jpg"] == labels[f"test_{number:05}{suffix}.jpg"] == name
    assert "Pictures that are not in the list ignored (basic/Image/more.jpg): 1." in faces.remarks
    assert zipped.fingerprint == faces.fingerprint


def test_both_kinds_of_pictures_ask_which(tmp_path, read):
    write_folder(raf_db("aligned", "original"), tmp_path / "raf")
    root = tmp_path / "raf/basic"
    words = rf"aligned and original: choose by data\.root={root}/Image/aligned data\.labels=({root}/EmoLabel/\S+),"
    with pytest.raises(UserError, match=words) as caught:
        read(tmp_path / "raf")
    labels = str(caught.value).split("data.labels=")[1].split(",")[0]
    for images in ("aligned", "original"):
        faces = read_faces(f"{root}/Image/{images}", str(tmp_path / "cache"), {}, 48, labels=LabelList(labels))
        assert faces.counts() == {"train": [2] * 7, "test": [1] * 7}


def test_what_is_no_raf_db_is_refused(tmp_path, read):
    files = raf_db("aligned")
    other = files | {LIST: files[LIST].replace(b".jpg 7", b".jpg 11")}
    with pytest.raises(UserError, match=r"line 7: 'train_00007\.jpg 11' is no train_ .* go to data\.labels=list\.csv"):
        read(write_folder(other, tmp_path / "compound"))
    packed = {LIST: files[LIST], "basic/Image/aligned.zip": b""}
    with pytest.raises(UserError, match=r"no faces in a known layout; found: basic\. Unpack basic/Image/aligned\.zip"):
        read(write_folder(packed, tmp_path / "packed"))
    half = {name: data for name, data in files.items() if "test_" not in name}
    with pytest.raises(UserError, match=r"7 of 21 pictures are unreadable, .* test_00001\.jpg: not there"):
        read(write_folder(half, tmp_path / "half"))
