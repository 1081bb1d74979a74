"""The cache of faces: used again, built anew where it is damaged, shared by processes."""

import os
from pathlib import Path

import numpy as np

from fer_lightning.data import readers
from fer_lightning.data.readers import read_faces
from tests import conftest, processes
from tests.data.sources import encode, grey, make_tree, write_folder, write_zip


def read_often(number: int, root: Path, cache: Path) -> list[str]:
    found = []
    for k in range(4):
        processes.meet()
        if k % 2 and number == 0:  # every other time it is damaged when they come
            for path in cache.iterdir():
                path.write_bytes(path.read_bytes()[:5000])
        processes.meet()
        faces = read_faces(str(root), str(cache), {}, 48)
        found.append((faces.fingerprint, faces.images.tobytes(), faces.labels.tobytes(), faces.names.tobytes()))
    return found


def test_four_processes_fill_one_cache(tmp_path):
    root = conftest.make_tree(tmp_path / "faces", faces=8)
    results = processes.together(read_often, root, tmp_path / "cache")
    first = read_faces(str(root), str(tmp_path / "other"), {}, 48)
    assert len(first.labels) == 112
    table = (first.fingerprint, first.images.tobytes(), first.labels.tobytes(), first.names.tobytes())
    assert all(found == table for result in results for found in result)
    left = [path.name for path in (tmp_path / "cache").iterdir()]
    assert left in ([], [path.name for path in (tmp_path / "other").iterdir()])  # whole or absent, no half-written one


def test_cache_is_used_kept_apart_and_rebuilt(tmp_path, read, monkeypatch, caplog):
    files = make_tree("train") | {"train/sad/bad.png": b""}
    root = Path(write_folder(files, tmp_path / "a"))
    first = read(root)
    (cache,) = (tmp_path / "cache").iterdir()  # and no temporary file
    with monkeypatch.context() as patch:
        patch.setattr(readers, "open_upright", None)  # would make all unreadable
        again = read(root)
    for field in ("images", "labels", "names", "splits"):
        np.testing.assert_array_equal(getattr(again, field), getattr(first, field))
        assert getattr(again, field).dtype == getattr(first, field).dtype
    for field in ("source", "fingerprint", "unreadable", "remarks"):
        assert getattr(again, field) == getattr(first, field)

    data = bytearray(cache.read_bytes())
    for damaged in (data[:1000], data[:5000] + bytes([data[5000] ^ 1]) + data[5001:], b""):
        cache.write_bytes(damaged)
        caplog.clear()
        assert read(root).fingerprint == first.fingerprint
        assert "is damaged" in caplog.text
        assert cache.stat().st_size == len(data)

    (root / "train/sad/1.png").write_bytes(encode(grey(99)))
    assert read(root).fingerprint != first.fingerprint
    assert len(list((tmp_path / "cache").iterdir())) == 2


def test_cache_that_cannot_be_written_only_warns(tmp_path, caplog):
    (tmp_path / "file").write_text("in the way")
    root = write_zip(make_tree("train"), tmp_path / "a.zip")
    assert len(read_faces(root, str(tmp_path / "file/cache"), {}, 48)) == 14
    assert "could not be written" in caplog.text


def test_full_disk_leaves_no_part_of_a_cache(tmp_path, read, monkeypatch, caplog):
    def fsync(_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", fsync)
    assert len(read(write_zip(make_tree("train"), tmp_path / "a.zip"))) == 14
    assert "No space left on device" in caplog.text
    assert list((tmp_path / "cache").iterdir()) == []
