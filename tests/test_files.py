"""Files and folders are written whole or not at all."""

import os

import pytest

from fer_lightning.files import replacing, write_csv, write_json, write_text


def test_a_file_is_replaced_at_the_end_and_not_before(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with replacing(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert os.listdir(tmp_path) == ["a.txt"]


@pytest.mark.parametrize("folder", [False, True])
def test_old_file_stays_whole_after_an_error(tmp_path, folder):
    path = tmp_path / "a"
    path.write_text("old")

    def write():
        with replacing(path) as temporary:
            if folder:
                temporary.mkdir()
            (temporary / "b" if folder else temporary).write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write()
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["a"]


def test_a_folder_is_written_whole(tmp_path):
    with replacing(tmp_path / "a") as temporary:
        temporary.mkdir()
        (temporary / "b").write_text("b")
    assert os.listdir(tmp_path) == ["a"]
    assert (tmp_path / "a/b").read_text() == "b"


def test_file_of_a_killed_process_is_overwritten(tmp_path):
    (tmp_path / ".a.part").write_text("a killed process wrote half of this")
    with replacing(tmp_path / "a", ".part") as temporary:
        temporary.write_text("whole")
    assert os.listdir(tmp_path) == ["a"]


def test_text_json_and_csv(tmp_path):
    write_text(tmp_path / "a", "é\x1b\n")
    assert (tmp_path / "a").read_bytes() == b"\xc3\xa9\\x1b\n"
    write_json(tmp_path / "b", {"x": 1})
    assert (tmp_path / "b").read_text() == '{\n  "x": 1\n}\n'
    write_csv(tmp_path / "c", ["x", "y"], [[1, "a,b"], [None, "é"], ["=1", -1.5]])
    assert (tmp_path / "c").read_bytes() == 'x,y\n1,"a,b"\n,é\n\\x3d1,-1.5\n'.encode()
