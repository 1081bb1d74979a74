"""Folders, zip archives and csv files: what they list, and what is refused before it is read."""

import sys
import warnings
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest

from fer_lightning.data import listing
from fer_lightning.data.listing import list_folder, list_zip
from fer_lightning.errors import UserError
from tests.data.sources import make_tree, write_folder, write_zip


@pytest.mark.parametrize("name", ["../evil.png", "train/../../evil.png", "/evil.png", "C:/evil.png", "..\\evil.png"])
def test_zip_member_that_leaves_the_archive_is_refused(tmp_path, read, name):
    path = write_zip(make_tree("train") | {name: b"x"}, tmp_path / "a.zip")
    with pytest.raises(UserError, match=r"unsafe member .*evil\.png"):
        read(path)


def test_zip_with_a_link_is_refused(tmp_path, read):
    member = zipfile.ZipInfo("train/sad/link.png")
    member.external_attr = 0o120777 << 16
    path = write_zip(make_tree("train"), tmp_path / "a.zip")
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(member, "/etc/passwd")
    with pytest.raises(UserError, match=r"unsafe member 'train/sad/link\.png', a link"):
        read(path)


def test_zip_bombs_are_refused_and_large_zips_are_read(tmp_path, read, monkeypatch):
    path = write_zip(make_tree("train") | {"bomb.png": bytes(20_000_000)}, tmp_path / "a.zip")
    with pytest.raises(UserError, match=r"'bomb\.png' would unpack from .* to 20,000,000 bytes: a zip bomb"):
        read(path)
    monkeypatch.setattr(listing, "MAX_UNPACKED", 10_000)
    assert len(read(write_zip(make_tree("train"), tmp_path / "b.zip"))) == 14


def test_linked_folders_and_doubled_members_are_counted_and_named(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b\x1b").symlink_to("a")
    assert list_folder(tmp_path).remarks == {r"Linked folders that were not followed (b\x1b)": 1}
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Python warns of doubled names
        for name in ("x/a.jpg", "x\\a.jpg", "b.jpg", "c.jpg", "b.jpg"):
            archive.writestr(name, "")
    files = list_zip(tmp_path / "a.zip")
    assert files.names == ["x/a.jpg", "b.jpg", "c.jpg"]
    assert files.remarks == {"Members with a repeated name, of which the last was read (b.jpg; x/a.jpg)": 2}


def test_damaged_zip_is_named_with_its_size(tmp_path, read):
    path = Path(write_zip(make_tree("train"), tmp_path / "a.zip"))
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(UserError, match=r"a\.zip \(5,000 bytes\) is no whole zip archive"):
        read(path)


def test_damaged_zip_member_is_unreadable(tmp_path, read):
    files = make_tree("train", faces=4)
    path = Path(write_zip(files, tmp_path / "a.zip"))
    data = bytearray(path.read_bytes())
    data[data.index(b"train/angry/2.png") + 600] ^= 255
    path.write_bytes(data)
    faces = read(path)
    assert len(faces) == 27
    assert [name for name, _ in faces.unreadable] == ["train/angry/2.png"]


def test_kaggle(tmp_path, read, monkeypatch):
    root = write_folder(make_tree("train"), tmp_path / "versions/1")
    monkeypatch.setitem(sys.modules, "kagglehub", SimpleNamespace(dataset_download=lambda name: root))
    assert read("kaggle").source == "jonathanoheix/face-expression-recognition-dataset"

    def refuse(name):
        raise RuntimeError("403")

    monkeypatch.setitem(sys.modules, "kagglehub", SimpleNamespace(dataset_download=refuse))
    with pytest.raises(UserError, match=r"could not be downloaded \(403\).*KAGGLE_KEY.*point data\.root at it"):
        read("kaggle")
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(UserError, match=r"pip install -e '\.\[kaggle\]'"):
        read("kaggle")
