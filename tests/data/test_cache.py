"""The cache of faces: used again, built anew where it is damaged, shared by processes."""

from pathlib import Path

from fer_lightning.data.readers import read_faces
from tests import processes
from tests.conftest import make_tree


def read(number: int, root: Path, cache: Path) -> list[str]:
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
    root = make_tree(tmp_path / "faces", faces=8)
    results = processes.together(read, root, tmp_path / "cache")
    first = read_faces(str(root), str(tmp_path / "other"), {}, 48)
    assert len(first.labels) == 112
    table = (first.fingerprint, first.images.tobytes(), first.labels.tobytes(), first.names.tobytes())
    assert all(found == table for result in results for found in result)
    left = [path.name for path in (tmp_path / "cache").iterdir()]
    assert left in ([], [path.name for path in (tmp_path / "other").iterdir()])  # whole or absent, no half-written one
