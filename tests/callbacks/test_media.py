"""The maps of a run's embeddings where there is little to draw."""

from types import SimpleNamespace

import numpy as np
import pytest
from matplotlib import pyplot
from sklearn.manifold import TSNE

from fer_lightning.callbacks.media import Media
from fer_lightning.data.faces import CLASSES
from fer_lightning.report.snapshots import embedding_map


def outputs(faces):
    random = np.random.default_rng(0)
    return {"embeddings": random.normal(size=(faces, 8)).astype(np.float32), "labels": np.arange(faces) % 7}


def test_no_map_of_equal_embeddings(tmp_path, caplog):
    """Fault 96: scikit-learn's t-SNE would divide by their spread and end the process."""
    same = outputs(75) | {"embeddings": np.full((75, 8), 8**-0.5, np.float32)}
    same["embeddings"][3] += 1e-7  # no two of a network's are equal to the last bit
    media = Media(str(tmp_path), {"tsne": TSNE(init="pca")}, 1500, 0, 0, 0)
    datamodule = SimpleNamespace(partition=SimpleNamespace(train=[0]))
    assert [name for name, _ in media._figures(datamodule, same)] == ["augmentation"]
    assert "no maps: the network gives all 75 test faces the same embedding" in caplog.text


@pytest.mark.parametrize("faces", [2, 21])
def test_perplexity_follows_the_number_of_faces(faces):
    """Fault 96."""
    figure = embedding_map(TSNE(init="pca", perplexity=30), *outputs(faces).values(), CLASSES, "few")
    assert sum(len(points.get_offsets()) for points in figure.axes[0].collections) == faces
    pyplot.close(figure)
