"""Lines of a csv find their faces, whatever their paths begin with."""

import numpy as np
import pytest

from fer_lightning.data.facts import read_facts
from fer_lightning.errors import UserError

NAMES = ["train/sad/1.png", "train/sad/2.png", "test/sad/1.png"]


def read(path, text):
    path.write_text(text)
    return read_facts(str(path), "data.metadata")


@pytest.mark.parametrize(
    ("text", "positions"),
    [
        ("file,age\ntrain/sad/2.png,4\n", [1]),
        ("age;Image\n4;archive/images/test/sad/1.png\n;2.png\n", [2, 1]),
        ("path\tage\n.\\train\\sad\\1.png\t4\n\t5\nnone/2.png\t4\n", [0, -1]),
        ("row,age\n7,4\n9,5\n", [1, -1]),
        ("2.png\n", [1]),
        ("5\n7\n", [0, 1]),
    ],
)
def test_faces_are_found(tmp_path, text, positions):
    facts = read(tmp_path / "people.csv", text)
    assert facts.find(NAMES, np.array([5, 7, 8])).tolist() == positions


def test_a_whole_path_goes_before_the_end_of_one(tmp_path):
    assert read(tmp_path / "people.csv", "file\n1.png\n").find(["a/1.png", "1.png"], None).tolist() == [1]


def test_columns_and_lines(tmp_path):
    facts = read(tmp_path / "people.csv", "Age,file,town\n4,2.png,\n,,\n5,1.png,home\n")
    assert (facts.columns, facts.lines) == ({"age": ["4", "5"], "town": ["", "home"]}, [2, 4])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("age,town\n4,home\n", "has the columns age, town: rename that of the paths to `file`"),
        ("", "has the columns of an empty file"),
        ("file\n1.png\n", "line 2: 1.png may be train/sad/1.png or test/sad/1.png: write more of its path"),
        ("file\n2.png\nsad/2.png\n", "lines 2 and 3 are about one face, train/sad/2.png: delete one of them"),
        ("file\n8.png\n", "names 8.png, and the faces are called train/sad/1.png"),
        ("row\n1\n", "and these faces have none: add a column `file` with their paths"),
        ("file,label,believed\n2.png,sad,happy\n1.png,sad\n", "line 3: 2 cells, and the header has 3; correct it"),
        ("file\n1.png\na, b.png\n", "line 3: 2 cells, and the header has 1; correct it"),
    ],
)
def test_mistake_is_one_sentence(tmp_path, text, words):
    with pytest.raises(UserError, match=f"^data.metadata={tmp_path}.*{words}"):
        read(tmp_path / "people.csv", text).find(NAMES, None)
    with pytest.raises(UserError, match=r"a row must be a whole number \(.*\); rename a column of paths to `file`"):
        read(tmp_path / "people.csv", "row\nsad\n").find(NAMES, np.arange(3))
    with pytest.raises(UserError, match="does not exist: give a csv with a column file or row"):
        read_facts(str(tmp_path / "none.csv"), "data.metadata")
