import numpy as np
import pytest

from fer_lightning.data.faces import CLASSES, Faces
from fer_lightning.data.published import PUBLISHED
from fer_lightning.data.readers import read_faces
from fer_lightning.data.twins import Twins, find_twins


@pytest.fixture
def read(tmp_path):
    return lambda root, image_size=48: read_faces(str(root), str(tmp_path / "cache"), {}, image_size)


@pytest.fixture(scope="module")
def twins(faces) -> Twins:
    return find_twins(faces.images)


@pytest.fixture(scope="session")
def contest() -> Faces:
    """The contest's faces as pictures of one pixel, named and folded as in Kaggle's archive."""
    labels = np.concatenate([np.repeat(np.arange(7), counts) for counts in PUBLISHED["FER2013"].values()])
    random = np.random.default_rng(0)
    rows = random.permutation(len(labels))
    labels, splits = labels[rows], random.choice(["train", "validation"], len(rows))
    names = np.array(
        [f"{split}/{CLASSES[label]}/{row}.jpg" for split, label, row in zip(splits, labels, rows, strict=True)]
    )
    return Faces(np.zeros((len(rows), 1, 1), np.uint8), labels, names, splits, "archive.zip", "0", rows=rows)
