"""Rows of a csv: what is read from its text, and what is said of a file that is none."""

import os
from pathlib import Path

import pytest

from fer_lightning.data.rows import read_rows
from fer_lightning.errors import UserError
from tests.conftest import raising


@pytest.mark.parametrize(
    ("text", "rows"),
    [
        ("file, label\r\n\r\n a.png ,sad\r\n", [(1, ["file", "label"]), (3, ["a.png", "sad"])]),
        ('\ufefffile;label\n"a;1.png"; "sad"\n;\n', [(1, ["file", "label"]), (2, ["a;1.png", "sad"])]),
        ("\tfile\n0\ta, b.png\n", [(1, ["", "file"]), (2, ["0", "a, b.png"])]),
        ("", []),
    ],
)
def test_rows_have_the_number_of_their_line(tmp_path, text, rows):
    (tmp_path / "a.csv").write_bytes(text.encode())
    assert list(read_rows(str(tmp_path / "a.csv"), "data.votes=a.csv", "give another", "\t;,")) == rows


def test_a_file_that_cannot_be_read_is_one_sentence(tmp_path, monkeypatch):
    def refusal(path):
        with pytest.raises(UserError) as caught:
            list(read_rows(str(path), "data.votes=a.csv", "give another"))
        return str(caught.value)

    os.mkfifo(tmp_path / "pipe")
    assert refusal(tmp_path / "pipe") == "data.votes=a.csv is a pipe: give another"
    (tmp_path / "a.csv").write_bytes(b"file\n\xe9.png\n")
    assert refusal(tmp_path / "a.csv").startswith(
        "data.votes=a.csv is no csv in UTF-8 ('utf-8' codec can't decode byte"
    )
    monkeypatch.setattr(Path, "open", raising(PermissionError(13, "Permission denied")))
    assert refusal(tmp_path / "a.csv") == "data.votes=a.csv cannot be read (Permission denied): give another"
