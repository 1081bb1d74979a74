"""FER+'s folders with their votes."""

import pytest

from fer_lightning.data.layouts import find_classes
from fer_lightning.data.votes import VOTED
from fer_lightning.errors import UserError
from tests.data.sources import write_folder
from tests.data.trees import FERPLUS, ferplus


def test_folders(tmp_path, read):
    files = ferplus()
    faces = read(write_folder(files, tmp_path / "a"))
    assert faces.counts() == {"train": [2] * 8, "validation": [2] * 8, "test": [2] * 8}
    assert faces.classes == find_classes(str(tmp_path / "a")) == VOTED
    assert [VOTED[label] for label in faces.labels[faces.splits == "train"]] == [*FERPLUS, *FERPLUS]
    assert [remark.partition(" (")[0] for remark in faces.remarks] == [
        "Faces left out, since most people saw no face",
        "Faces left out, since no expression has most of the votes",
    ]


def test_a_damaged_table_is_named(tmp_path, read):
    files = ferplus()
    files["FER2013Valid/label.csv"] = files["FER2013Valid/label.csv"].replace(b"10,0", b"x,0", 1)
    with pytest.raises(UserError, match=r"FER2013Valid/label\.csv, row 1: invalid literal .*'x'; write"):
        read(write_folder(files, tmp_path / "a"))
