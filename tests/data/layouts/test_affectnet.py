"""AffectNet's folders and lists."""

import numpy as np
import pytest

from fer_lightning.data.layouts import find_classes
from fer_lightning.data.votes import VOTED
from fer_lightning.errors import UserError
from tests.data.sources import write_folder, write_zip
from tests.data.trees import AFFECTNET, affectnet, affectnet_lists, annotation


def test_folders(tmp_path, read):
    files = affectnet()
    faces, zipped = read(write_folder(files, tmp_path / "a")), read(write_zip(files, tmp_path / "a.zip"))
    assert faces.counts() == {"train": [2] * 8, "validation": [1] * 8}
    assert faces.classes == find_classes(str(tmp_path / "a")) == find_classes(str(tmp_path / "a.zip")) == VOTED
    for number, name in enumerate(AFFECTNET):
        assert faces.classes[faces.labels[faces.names == f"val_set/images/{number}.jpg"][0]] == name
    left_out = "Faces left out, since AffectNet gives them no expression (train_set/images/99.jpg): 1."
    assert left_out in faces.remarks
    assert zipped.fingerprint == faces.fingerprint
    assert read(tmp_path / "a").counts() == faces.counts()  # from the cache


def test_annotations_that_cannot_be_read_are_counted(tmp_path, read):
    files = affectnet()
    del files["train_set/annotations/0_exp.npy"]
    files["train_set/annotations/1_exp.npy"] = b"no array"
    np.save(tmp_path / "object.npy", np.array({"a": 1}, dtype=object), allow_pickle=True)
    root = write_folder(files, tmp_path / "a")
    assert dict(read(root).unreadable).keys() == {"train_set/images/0.jpg", "train_set/annotations/1_exp.npy"}
    vast = annotation(0).replace(b"'shape': ()", b"'shape': (9999999999,)")[: len(annotation(0))]
    for data in ((tmp_path / "object.npy").read_bytes(), vast, annotation(0)[:-2]):
        files["train_set/annotations/1_exp.npy"] = data
        assert "train_set/annotations/1_exp.npy" in dict(read(write_folder(files, tmp_path / "a")).unreadable)
    files["train_set/annotations/1_exp.npy"] = annotation(11)
    with pytest.raises(UserError, match=r"1_exp\.npy has the label '11', and AffectNet's are 0 .* give"):
        read(write_folder(files, tmp_path / "a"))


def test_lists(tmp_path, read):
    files = affectnet_lists() | {"Manually_Annotated_Images/more.jpg": b""}
    faces = read(write_folder(files, tmp_path / "a"))
    assert faces.counts() == {"train": [2] * 8, "validation": [1] * 8}
    assert faces.classes == find_classes(str(tmp_path / "a")) == VOTED
    assert faces.classes[faces.labels[faces.names == "Manually_Annotated_Images/2/validation5.jpg"][0]] == AFFECTNET[5]
    assert faces.remarks == (
        "Faces left out, since AffectNet gives them no expression (9/none.jpg; 9/none.jpg): 2.",
        "Pictures that are not in the list ignored (Manually_Annotated_Images/more.jpg): 1.",
    )


def test_a_repeated_row_is_one_face(tmp_path, read):
    files = affectnet_lists()
    table = "Manually_Annotated_file_lists/training.csv"
    row = files[table].splitlines()[1]
    faces = read(write_folder({**files, table: files[table] + b"\n" + row}, tmp_path / "a"))
    assert faces.counts() == {"train": [2] * 8, "validation": [1] * 8}
    other = row.replace(b",0,0.5", b",1,0.5")
    with pytest.raises(UserError, match=r"training\.csv says two things about .*0\.jpg \(happy, train; neutral"):
        read(write_folder({**files, table: files[table] + b"\n" + other}, tmp_path / "b"))
