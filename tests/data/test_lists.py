"""Lists of labels beside pictures: their forms, and what is counted or refused."""

import re

import numpy as np
import pytest

from fer_lightning.data.faces import CLASSES
from fer_lightning.data.layouts import find_classes
from fer_lightning.data.lists import COLUMNS, LabelList
from fer_lightning.data.readers import read_faces
from fer_lightning.errors import UserError
from tests.data.sources import encode, grey, write_folder, write_zip

FILES = [f"{number}.png" for number in range(14)]  # two faces of each class


@pytest.fixture
def faces_of(tmp_path):
    """Return a function from the text of a list to its faces."""
    write_folder({f"pics/{name}": encode(grey(seed)) for seed, name in enumerate(FILES)}, tmp_path)

    def read(text, root="pics", classes=None, **columns):
        data = text if isinstance(text, bytes) else text.encode()
        (tmp_path / "list.csv").write_bytes(data)
        labels = str(tmp_path / "list.csv")
        root = root and str(tmp_path / root)
        return read_faces(root, str(tmp_path / "cache"), {}, 48, classes, LabelList(labels, COLUMNS | columns))

    return read


def table(header="", separator=",", order=(0, 1, 2)):
    """Return a list whose faces are in the train and the test split by turns."""
    lines = [header] if header else []
    for seed, name in enumerate(FILES):
        cells = (name, CLASSES[seed // 2], ("train", "Test")[seed % 2], f"P{seed % 4}")
        lines.append(separator.join(cells[column] for column in order))
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "columns"),
    [
        (table(), {}),
        (table(separator="\t"), {}),
        (table(separator="; "), {}),
        ("\ufeff" + table("File,Label,Split").replace("\n", "\r\n"), {}),
        (table("split,person,label,file", order=(2, 3, 1, 0)), {}),
        (table("image emotion usage", " "), {"file": "image", "label": "Emotion", "split": "usage"}),
        (re.sub("^", "./faces\\\\", table(), flags=re.MULTILINE), {}),
    ],
    ids=["plain", "tab", "semicolon", "header", "other order", "other names", "folders"],
)
def test_forms_of_a_list(faces_of, text, columns):
    faces = faces_of(text, **columns)
    assert faces.counts() == {"train": [1] * 7, "test": [1] * 7}
    assert faces.names.tolist() == sorted(FILES)
    for name, label, image in zip(faces.names, faces.labels, faces.images, strict=True):
        seed = FILES.index(name)
        assert (label, image.tobytes()) == (seed // 2, grey(seed).tobytes())
    assert (faces.remarks, faces.unreadable) == ((), ())
    assert (faces.persons is not None) == ("person" in text)


def test_persons_and_pictures_deeper_in_a_zip(faces_of, tmp_path):
    text = table("file,label,split,person", order=(0, 1, 2, 3))
    write_zip({f"a/b/{name}": encode(grey(seed)) for seed, name in enumerate(FILES)}, tmp_path / "pics.zip")
    faces, zipped = faces_of(text), faces_of(text, "pics.zip")
    assert zipped.fingerprint == faces.fingerprint
    assert zipped.names[0] == "a/b/0.png"
    assert faces.persons[:4].tolist() == ["P0", "P1", "P2", "P3"]  # of 0, 1, 10 and 11
    np.testing.assert_array_equal(faces_of(text).persons, faces.persons)  # from the cache
    assert faces_of(text.replace("P1", "")).persons[1] == "1.png"


def test_what_a_list_lacks_is_counted_and_named(faces_of, tmp_path):
    text = table() + "\n../../etc/passwd,sad,test\n0.png,angry,train\n5.png,,train"
    write_folder({"pics/notes.txt": b"x", "pics/more.png": b"x"}, tmp_path)
    faces = faces_of(text.replace("5.png,fear", "5.png,Scared"))
    assert len(faces) == 14
    assert faces.unreadable == (("../../etc/passwd", "not there"),)
    assert faces.remarks == (
        "Files that are hidden or no pictures ignored (notes.txt): 1.",
        "Pictures of label Scared read as fear: 1.",
        "Pictures that are not in the list ignored (more.png): 1.",
        "Rows of the list without a label (5.png): 1.",
    )


def test_numbers_are_classes_of_their_own_or_those_of_the_names(faces_of, tmp_path):
    text = re.sub(rf"{'|'.join(CLASSES)}", lambda match: str(CLASSES.index(match[0]) // 3), table())
    assert faces_of(text).classes == find_classes(None, LabelList(str(tmp_path / "list.csv"))) == ("0", "1", "2")
    named = faces_of(text, classes=["bad", "fair", "good"])
    assert named.labels.tolist() == faces_of(text).labels.tolist()
    with pytest.raises(UserError, match=r"data\.classes=\[bad,good\] lacks the labels test/2; train/2; add"):
        faces_of(text, classes=["bad", "good"])


@pytest.mark.parametrize(
    ("text", "options", "words"),
    [
        ("", {}, "names no file, and .*pics holds 0.png, 1.png, 10.png: point data.root at the folder or .zip"),
        (b"\xff\xfe0\0.\0", {}, "is no text in UTF-8: save it as such a csv"),
        (
            "image,emotion\n0.png,sad",
            {},
            "the columns image, emotion, and none is called file: write the column's name: data.columns.file=",
        ),
        (
            table("file,label,split"),
            {"person": "who"},
            "none is called who: write the column's name: data.columns.person=",
        ),
        (table().replace("Test", "dev"), {}, "line 2: split 'dev', allowed: train, validation, valid, val, test, "),
        (table() + "\n1.png", {}, "line 15 has too few cells; correct it"),
        (
            table() + "\n0.png,sad,train",
            {},
            r"says two things about 0\.png \(angry, train; sad, train\): delete",
        ),
        (
            table().replace("0.png,angry,train", "0.png,angry,"),
            {},
            "has faces with a split and others without: give each",
        ),
        (table().replace(".png", ".jpg"), {}, r"names 0\.jpg, 1\.jpg, 2\.jpg, and .*pics holds 0\.png"),
        (table(), {"root": None}, "labels pictures: give their folder or .zip as data.root"),
        (table().replace("sad", "a/b"), {}, r"data\.labels=.*list\.csv has the class 'a/b', which cannot name files"),
        (
            table().replace("png,", "gif,", 2),
            {},
            "2 of 14 pictures are unreadable, .*: 0.gif: not there; 1.gif",
        ),
    ],
)
def test_lists_that_cannot_be_are_refused(faces_of, text, options, words):
    with pytest.raises(UserError, match=words) as caught:
        faces_of(text, **options)
    assert "\n" not in str(caught.value)


def test_a_file_in_two_folders_asks_which(faces_of, tmp_path):
    for folder in ("aligned", "original"):
        write_folder({f"both/{folder}/{name}": encode(grey(0)) for name in FILES}, tmp_path)
    with pytest.raises(UserError, match=r"0\.png lies in 2 folders of .*both: aligned/; original/; point"):
        faces_of(table(), "both")
    assert len(faces_of(table(), "both/original")) == 14
    assert len(faces_of(re.sub("^", "original/", table(), flags=re.MULTILINE), "both")) == 14
