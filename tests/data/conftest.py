import pytest

from fer_lightning.data.readers import read_faces
from fer_lightning.data.twins import Twins, find_twins


@pytest.fixture
def read(tmp_path):
    return lambda root, image_size=48: read_faces(str(root), str(tmp_path / "cache"), {}, image_size)


@pytest.fixture(scope="module")
def twins(faces) -> Twins:
    return find_twins(faces.images)
